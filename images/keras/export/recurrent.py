"""Recurrent layers in a form that tf2onnx, and every framework after it, can convert."""

from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any

import keras
import onnx
import tensorflow as tf
from keras import ops
from onnx import numpy_helper

INITIAL_STATES = {"LSTM": (5, 6), "GRU": (5,)}  # positions of the ONNX operator's inputs that are its initial states
MOST_STEPS = 128  # a longer loop is not unrolled: each step is a dozen operators


def recurrent_layers(model: keras.Model) -> Iterator[Any]:
    """All recurrent layers, also those of models and wrappers inside of the model."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.RNN):
            yield layer


class Rewrite:
    """Changes of layers' attributes, which can be undone."""

    def __init__(self) -> None:
        self.previous: list[tuple[Any, str, dict[str, Any]]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        self.previous.append((owner, name, {name: vars(owner)[name]} if name in vars(owner) else {}))
        setattr(owner, name, value)

    def undo(self) -> None:
        for owner, name, before in reversed(self.previous):
            delattr(owner, name)
            for value in before.values():
                setattr(owner, name, value)
        self.previous.clear()

    def __bool__(self) -> bool:
        return bool(self.previous)


def use_keras2_gates(model: keras.Model) -> Rewrite:
    """Have each GRU compute its gates as Keras 2 did, in place: tf2onnx looks for that pattern of BiasAdd and Split.

    Keras 3 adds a slice of the bias and slices the sum: the same numbers, which become a Loop in ONNX.
    """
    rewrite = Rewrite()
    for layer in recurrent_layers(model):
        cell = layer.cell
        if layer.unroll:
            use_constant_state(layer, rewrite)
        if type(cell) is keras.layers.GRUCell and cell.reset_after and cell.use_bias and cell.implementation != 1:
            biases: list[Any] = []
            rewrite.set(cell, "call", MethodType(make_gru_call(biases), cell))
            loop = read_biases_before(layer.inner_loop, biases, ops.convert_to_numpy(cell.bias))
            rewrite.set(layer, "inner_loop", loop)
    return rewrite


def read_biases_before(loop: Callable[..., Any], biases: list[Any], values: Any) -> Callable[..., Any]:
    """`loop`, with `biases` filled before it begins: in tf2onnx's pattern they come from outside of the loop."""
    variables = [tf.Variable(bias, trainable=False) for bias in values]

    def run_loop(*arguments: Any, **options: Any) -> Any:
        biases[:] = [tf.convert_to_tensor(variable) for variable in variables]
        return loop(*arguments, **options)

    return run_loop


def make_gru_call(biases: list[Any]) -> Callable[..., Any]:
    """The `call` of a GRU cell as Keras 2 wrote it; `biases`: those of inputs and state, filled before it runs."""

    def call(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:  # noqa: ARG001 - as Keras calls it
        state = states[0] if isinstance(states, list | tuple) else states
        update_x, reset_x, new_x = tf.split(tf.nn.bias_add(inputs @ self.kernel, biases[0]), 3, axis=-1)
        update_h, reset_h, new_h = tf.split(tf.nn.bias_add(state @ self.recurrent_kernel, biases[1]), 3, axis=-1)
        update = self.recurrent_activation(update_x + update_h)
        reset = self.recurrent_activation(reset_x + reset_h)
        new_state = update * state + (1 - update) * self.activation(new_x + reset * new_h)
        return new_state, ([new_state] if isinstance(states, list | tuple) else new_state)

    return call


def unroll_layers(model: keras.Model) -> Rewrite:
    """Unroll every recurrent layer, in place; nothing is changed where the steps are unknown or too many."""
    rewrite = Rewrite()
    layers = list(recurrent_layers(model))
    if not all(0 < count_steps(layer) <= MOST_STEPS for layer in layers):
        return rewrite
    for layer in layers:
        rewrite.set(layer, "unroll", True)
        use_constant_state(layer, rewrite)
        if layer.go_backwards:
            rewrite.set(layer, "inner_loop", read_backwards(layer, layer.inner_loop))
    return rewrite


def read_backwards(layer: Any, loop: Callable[..., Any]) -> Callable[..., Any]:
    """`loop` over sequences and mask that are reversed before it.

    Where Keras unrolls a layer that goes backwards, it sets outputs to zero by the mask in the order before.
    """

    def run_loop(sequences: Any, initial_state: Any, mask: Any = None, training: bool = False) -> Any:
        layer.go_backwards = False
        try:
            reversed_mask = None if mask is None else keras.tree.map_structure(reverse_steps, mask)
            reversed_steps = keras.tree.map_structure(reverse_steps, sequences)
            return loop(reversed_steps, initial_state, reversed_mask, training=training)
        finally:
            layer.go_backwards = True

    return run_loop


def reverse_steps(sequences: Any) -> Any:
    """The tensor (batch, steps, …) with its steps in reverse order: as a selection, which every framework has."""
    return tf.gather(sequences, list(reversed(range(sequences.shape[1]))), axis=1)


def count_steps(layer: Any) -> int:
    """The number of steps that the layer was built for; 0 for any number."""
    config = layer.get_build_config() or {}
    shape: Sequence[Any] = config.get("input_shape") or config.get("shapes_dict", {}).get("sequences_shape") or ()
    return (shape[1] or 0) if len(shape) > 1 and not isinstance(shape[0], list | tuple) else 0


def use_constant_state(layer: Any, rewrite: Rewrite) -> None:
    """Have the layer begin with zeros for one sample, which stand for any number of samples and are a constant."""
    zeros = layer.get_initial_state
    rewrite.set(layer, "get_initial_state", lambda batch_size: zeros(1))


def drop_zero_states(graph: onnx.GraphProto) -> int:
    """Remove initial states of zeros, which are the default, in place; the number removed.

    They depend on the batch size, so the graph would compute shapes for them.
    """
    makers = {name: node for node in graph.node for name in node.output}
    values = {tensor.name: tensor for tensor in graph.initializer}
    removed = 0
    for node in graph.node:
        for position in INITIAL_STATES.get(node.op_type, ()):
            if position < len(node.input) and is_zero(node.input[position], makers, values):
                node.input[position] = ""
                removed += 1
        while node.op_type in INITIAL_STATES and node.input and not node.input[-1]:
            del node.input[-1]
    return removed


def is_zero(name: str, makers: dict[str, onnx.NodeProto], values: dict[str, onnx.TensorProto]) -> bool:
    """Is this tensor zero, whatever its shape?"""
    if name in values:
        return not numpy_helper.to_array(values[name]).any()
    node = makers.get(name)
    if node is None:
        return False
    if node.op_type == "ConstantOfShape":
        value = next((item.t for item in node.attribute if item.name == "value"), None)
        return value is None or not numpy_helper.to_array(value).any()
    if node.op_type in ("Expand", "Unsqueeze", "Squeeze", "Reshape", "Identity", "Slice"):
        return is_zero(node.input[0], makers, values)
    return node.op_type == "Concat" and all(is_zero(item, makers, values) for item in node.input)
