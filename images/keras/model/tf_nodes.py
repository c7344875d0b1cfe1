"""Nodes of a TensorFlow graph between the layers of a Keras 2 model (`TensorFlowOpLayer`), as a layer of Keras 3.

TensorFlow 2.0 to 2.3 wrote `x * y` or `tf.nn.depth_to_space(x, 2)` as the node of a graph. Its operator must be one
that only computes (`tf_operators.py`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import attr_value_pb2, node_def_pb2, op_def_pb2
from tensorflow.python.framework import op_def_library, op_def_registry

from images.keras.safety.tf_operators import COMPUTE
from shared.errors import CrossquantError

KERAS2_NAME = "TensorFlowOpLayer"
Config = dict[str, Any]


@keras.saving.register_keras_serializable(package="crossquant")
class TensorFlowNode(keras.layers.Layer):
    """One operator of TensorFlow. CrossquantError for one that isn't known to only compute.

    `node_def` is a NodeDef as JSON; `constants` are those of its inputs that no layer gives, by their positions.
    """

    def __init__(self, node_def: Config, constants: Config | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.node_def, self.constants = node_def, constants or {}
        self.check_operator(read_operator(node_def))
        self.node = json_format.ParseDict(node_def, node_def_pb2.NodeDef())
        self.definition = op_def_registry.get(self.node.op)
        if self.definition is None:
            raise CrossquantError(f"layer '{self.name}': TensorFlow {tf.__version__} has no operator {self.node.op}")

    def check_operator(self, operator: str) -> None:
        if operator not in COMPUTE:
            raise CrossquantError(f"layer '{self.name}' calls {operator}, which isn't known to only compute")

    def call(self, inputs: Any) -> Any:
        tensors = keras.tree.flatten(inputs)
        for position, constant in sorted((int(key), value) for key, value in self.constants.items()):
            tensors.insert(position, constant)
        arguments = {**dict(group_inputs(self.definition, self.node, tensors)), **dict(self.read_attributes())}
        apply = tf.function(op_def_library.apply_op) if tf.executing_eagerly() else op_def_library.apply_op
        return apply(self.node.op, **arguments)

    def read_attributes(self) -> Iterator[tuple[str, Any]]:
        """Those attributes of the node that TensorFlow doesn't take from the inputs, by name."""
        inferred = {
            name
            for argument in self.definition.input_arg
            for name in (argument.type_attr, argument.number_attr, argument.type_list_attr)
        }
        known = {attribute.name for attribute in self.definition.attr} - inferred
        for name, value in self.node.attr.items():
            if name in known:
                yield name, read_attribute(value)

    def get_config(self) -> Config:
        return {**super().get_config(), "node_def": self.node_def, "constants": self.constants}


class TrustedTensorFlowNode(TensorFlowNode):
    """Any operator of TensorFlow: Keras finds this class only where the file is trusted."""

    def check_operator(self, operator: str) -> None:
        pass


REGISTERED_NAME = keras.saving.get_registered_name(TensorFlowNode)
CLASS_NAMES = (KERAS2_NAME, TensorFlowNode.__name__)


def stored_classes(trust: bool) -> dict[str, type[TensorFlowNode]]:
    """The classes that a file written by this project may name, by name."""
    classes = (TensorFlowNode, TrustedTensorFlowNode) if trust else (TensorFlowNode,)
    return {layer.__name__: layer for layer in classes}


def keras2_classes(trust: bool) -> dict[str, type[TensorFlowNode]]:
    """The class that stands for Keras 2's, by its name."""
    return {KERAS2_NAME: TrustedTensorFlowNode if trust else TensorFlowNode}


def read_operator(node_def: Any) -> str:
    """The operator's name in a NodeDef as JSON; "" where that isn't what it is."""
    operator = node_def.get("op") if isinstance(node_def, dict) else None
    return operator if isinstance(operator, str) else ""


def group_inputs(
    definition: op_def_pb2.OpDef, node: node_def_pb2.NodeDef, tensors: Sequence[Any]
) -> Iterator[tuple[str, Any]]:
    """The arguments of an operator by name, each a tensor or a list of tensors. Constants get the type it takes."""
    position = 0
    for argument in definition.input_arg:
        count = node.attr[argument.number_attr].i if argument.number_attr else 1
        dtype = tf.as_dtype(node.attr[argument.type_attr].type if argument.type_attr else argument.type)
        values = [
            value if tf.is_tensor(value) else tf.constant(value, dtype)
            for value in tensors[position : position + count]
        ]
        position += count
        yield argument.name, values if argument.number_attr else values[0]


def read_attribute(value: attr_value_pb2.AttrValue) -> Any:
    """An attribute of a node as a value of Python."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return [
            tf.as_dtype(item) if field.name == "type" else item
            for field, items in value.list.ListFields()
            for item in items
        ]
    content = getattr(value, kind)
    return tf.as_dtype(content) if kind == "type" else tf.TensorShape(content) if kind == "shape" else content
