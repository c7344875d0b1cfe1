"""Convolutions without a bias, and what NNCF takes for one."""

import numpy as np

from images.openvino.session import ov

CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData", "GroupConvolution", "GroupConvolutionBackpropData")


def add_missing(model: ov.Model) -> None:
    """A bias of zeros for each convolution that a number is added to, as in a hard swish without BatchNormalization.

    NNCF takes that number for the bias, and its correction then fails: "cannot reshape array of size 24 into shape ()".
    """
    for op in model.get_ordered_ops():
        if op.get_type_name() in CONVOLUTIONS and any(adds_number(user) for user in users(op)):
            insert(op)


def users(op: ov.Node) -> list[ov.Node]:
    return [user.get_node() for user in op.output(0).get_target_inputs()]


def adds_number(op: ov.Node) -> bool:
    if op.get_type_name() != "Add":
        return False
    given = [value.get_node() for value in op.input_values()]
    return any(node.get_type_name() == "Constant" and node.data.size == 1 for node in given)


def insert(op: ov.Node) -> None:
    shape = op.get_output_partial_shape(0)
    zeros = np.zeros((1, shape[1].get_length(), *[1] * (len(shape) - 2)), np.float32)
    readers = list(op.output(0).get_target_inputs())
    bias = ov.opset13.add(op, ov.opset13.constant(zeros))
    bias.set_friendly_name(f"{op.get_friendly_name()}/bias")
    for reader in readers:
        reader.replace_source_output(bias.output(0))
