"""TensorFlow's operators between the layers of a Keras 2 model (`TFOpLambda`), as a layer that Keras 3 can store.

Keras 2 wrote `x * y` or `tf.reshape(x, …)` as the name of a function of TensorFlow. The name must be in the table of
functions that only compute (`tf_functions.py`), and the arguments in the file must be data.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from images.keras.safety.tf_functions import FUNCTIONS, GETITEM
from shared.errors import CrossquantError

CONSTANT = "_CONSTANT_VALUE"
DATA_TYPES = (
    bool,
    int,
    float,
    str,
    slice,
    type(None),
    type(Ellipsis),
    np.ndarray,
    np.generic,
    tf.DType,
    tf.TensorShape,
)
TRUST_HINT = "--trust allows that, in the container; or put a layer in its place and save it again"
Config = dict[str, Any]


@keras.saving.register_keras_serializable(package="crossquant")
class TensorFlowCall(keras.layers.Layer):
    """`tf.<function>` of its inputs. CrossquantError for a function or an argument that isn't known to only compute."""

    def __init__(self, function: str, **options: Any) -> None:
        super().__init__(**options)
        self.function = function
        self.callable = self.find_function(function)

    def find_function(self, function: str) -> Any:
        if not isinstance(function, str) or function not in FUNCTIONS:
            raise CrossquantError(
                f"layer '{self.name}' calls tf.{function}, which isn't known to only compute: {TRUST_HINT}"
            )
        return FUNCTIONS[function]

    def check_argument(self, argument: Any) -> None:
        if not is_data(argument):
            kind = getattr(argument, "__name__", type(argument).__name__)
            raise CrossquantError(
                f"layer '{self.name}' passes {kind} to tf.{self.function}, which is not data: {TRUST_HINT}"
            )

    def call(self, *inputs: Any, **arguments: Any) -> Any:
        for argument in (*inputs, *arguments.values()):
            self.check_argument(argument)
        if self.function == GETITEM:
            arguments["slice_spec"] = tuple(map(restore_slice, arguments["slice_spec"]))
        return self.callable(*inputs, **arguments)

    def get_config(self) -> Config:
        return {**super().get_config(), "function": self.function}


class TrustedTensorFlowCall(TensorFlowCall):
    """Any function of TensorFlow, with any arguments: Keras finds this class only where the file is trusted."""

    def find_function(self, function: str) -> Any:
        return reduce(getattr, function.split("."), tf)

    def check_argument(self, argument: Any) -> None:
        pass


KERAS2_NAMES = ("TFOpLambda", "SlicingOpLambda")  # Keras 2's classes of such layers
CLASS_NAMES = (*KERAS2_NAMES, TensorFlowCall.__name__)
REGISTERED_NAME = keras.saving.get_registered_name(TensorFlowCall)


def stored_classes(trust: bool) -> dict[str, type[TensorFlowCall]]:
    """The classes that a file written by this project may name, by name."""
    classes = (TensorFlowCall, TrustedTensorFlowCall) if trust else (TensorFlowCall,)
    return {layer.__name__: layer for layer in classes}


def keras2_classes(trust: bool) -> dict[str, type[TensorFlowCall]]:
    """The class that stands for Keras 2's classes of such layers, by their names."""
    return dict.fromkeys(KERAS2_NAMES, TrustedTensorFlowCall if trust else TensorFlowCall)


def is_data(value: Any) -> bool:
    """Is this a tensor, a number, a text, or a collection of such, and nothing that could be called?"""
    if isinstance(value, list | tuple):
        return all(map(is_data, value))
    if isinstance(value, dict):
        return all(map(is_data, value.values()))
    return isinstance(value, (*DATA_TYPES, keras.KerasTensor)) or tf.is_tensor(value)


def restore_slice(saved: Any) -> Any:
    """An index of `x[…]` from the form in which Keras 2 wrote it."""
    if isinstance(saved, dict) and "start" in saved:
        return slice(saved["start"], saved["stop"], saved["step"])
    return Ellipsis if isinstance(saved, dict) else saved


def rewrite_connections(graph: Config) -> None:
    """Rewrite the connections of a Keras 2 graph, in place, where a keyword argument is a tensor.

    Keras 3 reads only those in positional arguments, and would pass `["layer", 0, 0]` on as it is.
    """
    renumber_sequentials(graph)
    names = {layer["name"] for layer in graph["layers"] if "name" in layer}
    for layer in graph["layers"]:
        nodes = layer.get("inbound_nodes", [])
        layer["inbound_nodes"] = [
            rewrite_connection(node, names, layer["class_name"] in KERAS2_NAMES) for node in nodes
        ]


def renumber_sequentials(graph: Config) -> None:
    """Count the calls of each Sequential in a Keras 2 graph from 0, in place.

    In Keras 2 the first call of a model has the number 1, after that of its own graph; Keras 3 knows it of functional
    models alone.
    """
    names = {layer["name"] for layer in graph["layers"] if layer["class_name"] == "Sequential" and "name" in layer}
    ends = [
        graph["input_layers"],
        graph.get("output_layers"),
        [layer.get("inbound_nodes") for layer in graph["layers"]],
    ]
    for name in names:
        references = list(find_references(ends, name))
        if references and min(reference[1] for reference in references) > 0:
            for reference in references:
                reference[1] -= 1


def find_references(value: Any, name: str) -> Iterator[list[Any]]:
    """The lists `[name, call, output, …]` by which a graph refers to a layer of this name."""
    if isinstance(value, list):
        if len(value) > 2 and value[0] == name and type(value[1]) is int:
            yield value
        for item in value:
            yield from find_references(item, name)
    elif isinstance(value, dict):
        for item in value.values():
            yield from find_references(item, name)


def rewrite_connection(node: Any, names: set[str], is_call: bool) -> Any:
    """A connection in Keras 3's form, if it needs that: `names` are those of layers, `is_call` that of an operator."""
    if not isinstance(node, list) or not node:
        return node
    if isinstance(node[0], str):  # a call of one tensor isn't wrapped in a list
        node = [node]
    keywords = node[-1][3] if len(node[-1]) > 3 else {}
    keywords = {key: rewrite_tensors(value, names) for key, value in keywords.items()}
    if not is_call and not any(map(has_tensor, keywords.values())):
        return node
    arguments = [item[2] if item[0] == CONSTANT else keras3_tensor(*item[:3]) for item in node]
    if is_call:
        keywords.pop("name", None)
    return {"args": arguments if len(arguments) == 1 else [arguments], "kwargs": keywords}


def rewrite_tensors(value: Any, names: set[str]) -> Any:
    """`value`, with references to the outputs of layers in Keras 3's form."""
    if isinstance(value, list) and len(value) == 3 and value[0] in tuple(names) and type(value[1]) is int:
        return keras3_tensor(*value)
    return [rewrite_tensors(item, names) for item in value] if isinstance(value, list) else value


def has_tensor(value: Any) -> bool:
    inner = value if isinstance(value, list) else ()
    return (isinstance(value, dict) and value.get("class_name") == "__keras_tensor__") or any(map(has_tensor, inner))


def keras3_tensor(layer: str, node: int, number: int) -> Config:
    """A layer's output in Keras 3's form. Keras takes the shape from the layer, not from here."""
    history = {"shape": [None], "dtype": "float32", "keras_history": [layer, node, number]}
    return {"class_name": "__keras_tensor__", "config": history}
