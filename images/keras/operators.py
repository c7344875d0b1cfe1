"""TensorFlow's operators between the layers of a Keras 2 model (`TFOpLambda`), as a layer that Keras 3 can keep.

Keras 2 wrote `x * y` or `tf.reshape(x, …)` as the name of a function of TensorFlow. A name is looked up among what only
computes: nothing that reads or writes a file can be called by it.
"""

from functools import reduce
from typing import Any

import keras
import tensorflow as tf

from shared.errors import CrossquantError

GROUPS = ("math.", "nn.", "linalg.", "__operators__.")
SINGLE = (
    *(
        "reshape",
        "transpose",
        "concat",
        "stack",
        "unstack",
        "split",
        "squeeze",
        "expand_dims",
        "cast",
        "identity",
        "pad",
    ),
    *("shape", "compat.v1.shape", "tile", "zeros_like", "ones_like", "clip_by_value", "convert_to_tensor", "where"),
    *("broadcast_to", "gather", "strided_slice", "slice", "reverse", "einsum", "image.resize", "stop_gradient"),
)
GETITEM = "__operators__.getitem"
CONSTANT = "_CONSTANT_VALUE"
Config = dict[str, Any]


@keras.saving.register_keras_serializable(package="crossquant")
class TensorFlowCall(keras.layers.Layer):
    """`tf.<function>` of its inputs."""

    def __init__(self, function: str, **more: Any) -> None:
        super().__init__(**more)
        if not function.startswith(GROUPS) and function not in SINGLE:
            raise CrossquantError(f"the model calls tf.{function}: put a layer in its place and save it again")
        self.function = function

    def call(self, *inputs: Any, **more: Any) -> Any:
        if self.function == GETITEM:
            more["slice_spec"] = tuple(map(piece, more["slice_spec"]))
        called = reduce(getattr, self.function.split("."), tf)
        return called(*inputs, **more)

    def get_config(self) -> Config:
        return {**super().get_config(), "function": self.function}


LAYERS = {"TFOpLambda": TensorFlowCall, "SlicingOpLambda": TensorFlowCall}


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
        layer["inbound_nodes"] = [connection(node, names, layer["class_name"] in LAYERS) for node in nodes]


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
