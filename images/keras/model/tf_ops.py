"""TensorFlow's operators between the layers of a Keras 2 model (`TFOpLambda`), as a layer that Keras 3 can keep.

Keras 2 wrote `x * y` or `tf.reshape(x, …)` as the name of a function of TensorFlow. The name is a key of a table of
functions that only compute (`tf_functions.py`), and what the file passes to them must be data.
"""

from functools import reduce
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from images.keras.safety.tf_functions import FUNCTIONS, GETITEM
from shared.errors import CrossquantError

CONSTANT = "_CONSTANT_VALUE"
PLAIN = (bool, int, float, str, slice, type(None), type(Ellipsis), np.ndarray, np.generic, tf.DType, tf.TensorShape)
TRUST = "--trust allows that, in the container; or put a layer in its place and save it again"
Config = dict[str, Any]


@keras.saving.register_keras_serializable(package="crossquant")
class TensorFlowCall(keras.layers.Layer):
    """`tf.<function>` of its inputs. CrossquantError for a function or an argument that isn't known to only compute."""

    def __init__(self, function: str, **more: Any) -> None:
        super().__init__(**more)
        self.function = function
        self.called = self.find(function)

    def find(self, function: str) -> Any:
        if not isinstance(function, str) or function not in FUNCTIONS:
            raise CrossquantError(
                f"layer '{self.name}' calls tf.{function}, which isn't known to only compute: {TRUST}"
            )
        return FUNCTIONS[function]

    def check(self, argument: Any) -> None:
        if not is_data(argument):
            kind = getattr(argument, "__name__", type(argument).__name__)
            raise CrossquantError(f"layer '{self.name}' passes {kind} to tf.{self.function}, which is no data: {TRUST}")

    def call(self, *inputs: Any, **more: Any) -> Any:
        for argument in (*inputs, *more.values()):
            self.check(argument)
        if self.function == GETITEM:
            more["slice_spec"] = tuple(map(piece, more["slice_spec"]))
        return self.called(*inputs, **more)

    def get_config(self) -> Config:
        return {**super().get_config(), "function": self.function}


class TrustedTensorFlowCall(TensorFlowCall):
    """Any function of TensorFlow at all, with any arguments: Keras finds this class only where the file is trusted."""

    def find(self, function: str) -> Any:
        return reduce(getattr, function.split("."), tf)

    def check(self, argument: Any) -> None:
        pass


KERAS_2 = ("TFOpLambda", "SlicingOpLambda")  # its names of such layers
NAMES = (*KERAS_2, TensorFlowCall.__name__)
REGISTERED = keras.saving.get_registered_name(TensorFlowCall)


def kept(trust: bool) -> dict[str, type[TensorFlowCall]]:
    """What a file that this project has written may name."""
    known = (TensorFlowCall, TrustedTensorFlowCall) if trust else (TensorFlowCall,)
    return {kind.__name__: kind for kind in known}


def layers(trust: bool) -> dict[str, type[TensorFlowCall]]:
    """What Keras 2's names stand for."""
    return dict.fromkeys(KERAS_2, TrustedTensorFlowCall if trust else TensorFlowCall)


def is_data(value: Any) -> bool:
    """A tensor, a number, a text, or a collection of such: nothing that could be called."""
    if isinstance(value, list | tuple):
        return all(map(is_data, value))
    if isinstance(value, dict):
        return all(map(is_data, value.values()))
    return isinstance(value, (*PLAIN, keras.KerasTensor)) or tf.is_tensor(value)


def piece(saved: Any) -> Any:
    """A part of `x[…]`, as Keras 2 wrote it."""
    if isinstance(saved, dict) and "start" in saved:
        return slice(saved["start"], saved["stop"], saved["step"])
    return Ellipsis if isinstance(saved, dict) else saved


def connect(graph: Config) -> None:
    """Write the connections of a Keras 2 graph anew, in place, where an argument by name is a tensor.

    Keras 3 reads those that are given by position alone, and would pass `["layer", 0, 0]` on as it is.
    """
    names = {layer["name"] for layer in graph["layers"] if "name" in layer}
    for layer in graph["layers"]:
        nodes = layer.get("inbound_nodes", [])
        layer["inbound_nodes"] = [connection(node, names, layer["class_name"] in KERAS_2) for node in nodes]


def connection(node: Any, names: set[str], is_call: bool) -> Any:
    if not isinstance(node, list) or not node:
        return node
    if isinstance(node[0], str):  # a call that is given one tensor isn't wrapped in a list
        node = [node]
    by_name = node[-1][3] if len(node[-1]) > 3 else {}
    by_name = {key: tensors(value, names) for key, value in by_name.items()}
    if not is_call and not any(map(has_tensor, by_name.values())):
        return node
    given = [item[2] if item[0] == CONSTANT else tensor(*item[:3]) for item in node]
    if is_call:
        by_name.pop("name", None)
    return {"args": given if len(given) == 1 else [given], "kwargs": by_name}


def tensors(value: Any, names: set[str]) -> Any:
    """`value`, with what stands for a layer's output in Keras 3's form."""
    if isinstance(value, list) and len(value) == 3 and value[0] in tuple(names) and type(value[1]) is int:
        return tensor(*value)
    return [tensors(item, names) for item in value] if isinstance(value, list) else value


def has_tensor(value: Any) -> bool:
    inner = value if isinstance(value, list) else ()
    return (isinstance(value, dict) and value.get("class_name") == "__keras_tensor__") or any(map(has_tensor, inner))


def tensor(layer: str, node: int, number: int) -> Config:
    """Its shape is that of the layer's output, whatever is said here."""
    history = {"shape": [None], "dtype": "float32", "keras_history": [layer, node, number]}
    return {"class_name": "__keras_tensor__", "config": history}
