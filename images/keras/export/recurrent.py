"""Recurrent layers in a form that tf2onnx knows, and every framework after it."""

from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any

import keras
import onnx
import tensorflow as tf
from keras import ops
from onnx import numpy_helper

STATES = {"LSTM": (5, 6), "GRU": (5,)}  # the inputs of the ONNX operator that are its first states
MOST_STEPS = 128  # a longer loop is left as it is: each step is a dozen operators


def recurrent_layers(model: keras.Model) -> Iterator[Any]:
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.RNN):
            yield layer


def as_keras_2(model: keras.Model) -> None:
    """Have each GRU compute its gates as Keras 2 did: by one BiasAdd and one Split, the pattern that tf2onnx looks for.

    Keras 3 adds a slice of the bias and cuts the sum by slices: the same numbers, which become a Loop in ONNX.
    """
    for layer in recurrent_layers(model):
        cell = layer.cell
        if layer.unroll:
            start_without_batch(layer)
        if type(cell) is keras.layers.GRUCell and cell.reset_after and cell.use_bias and cell.implementation != 1:
            biases: list[Any] = []
            cell.call = MethodType(gru_call(biases), cell)
            layer.inner_loop = with_biases(layer.inner_loop, biases, ops.convert_to_numpy(cell.bias))


def with_biases(loop: Callable[..., Any], biases: list[Any], values: Any) -> Callable[..., Any]:
    """`loop`, with the biases read before it begins: in the pattern they come into the loop from outside."""
    kept = [tf.Variable(bias, trainable=False) for bias in values]

    def started(*arguments: Any, **more: Any) -> Any:
        biases[:] = [tf.convert_to_tensor(bias) for bias in kept]
        return loop(*arguments, **more)

    return started


def gru_call(biases: list[Any]) -> Callable[..., Any]:
    def call(self: Any, inputs: Any, states: Any, training: bool = False) -> Any:  # noqa: ARG001 - as Keras calls it
        state = states[0] if isinstance(states, list | tuple) else states
        update_x, reset_x, new_x = tf.split(tf.nn.bias_add(inputs @ self.kernel, biases[0]), 3, axis=-1)
        update_h, reset_h, new_h = tf.split(tf.nn.bias_add(state @ self.recurrent_kernel, biases[1]), 3, axis=-1)
        update = self.recurrent_activation(update_x + update_h)
        reset = self.recurrent_activation(reset_x + reset_h)
        made = update * state + (1 - update) * self.activation(new_x + reset * new_h)
        return made, ([made] if isinstance(states, list | tuple) else made)

    return call


def unroll(model: keras.Model) -> bool:
    """Have every recurrent layer write its steps one after the other; False where their number is unknown, or large."""
    found = list(recurrent_layers(model))
    if not all(0 < steps(layer) <= MOST_STEPS for layer in found):
        return False
    for layer in found:
        layer.unroll = True
        start_without_batch(layer)
    return True


def steps(layer: Any) -> int:
    """How many the layer was built for; 0: any number."""
    config = layer.get_build_config() or {}
    shape: Sequence[Any] = config.get("input_shape") or config.get("shapes_dict", {}).get("sequences_shape") or ()
    return (shape[1] or 0) if len(shape) > 1 and not isinstance(shape[0], list | tuple) else 0


def start_without_batch(layer: Any) -> None:
    """A first state of zeros for one sample stands for any number of them, and is a constant."""
    zeros = layer.get_initial_state
    layer.get_initial_state = lambda batch_size: zeros(1)


def drop_zero_states(graph: onnx.GraphProto) -> int:
    """Leave out first states of zeros, which are the default: they depend on the batch, and bring its shape along."""
    makers = {name: node for node in graph.node for name in node.output}
    values = {tensor.name: tensor for tensor in graph.initializer}
    changed = 0
    for node in graph.node:
        for position in STATES.get(node.op_type, ()):
            if position < len(node.input) and is_zero(node.input[position], makers, values):
                node.input[position] = ""
                changed += 1
        while node.op_type in STATES and node.input and not node.input[-1]:
            del node.input[-1]
    return changed


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
