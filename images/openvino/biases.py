"""Adds biases to convolutions whose following constant NNCF mistakes for one."""

import numpy as np

from images.openvino.session import ov

CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData", "GroupConvolution", "GroupConvolutionBackpropData")


def add_missing_biases(model: ov.Model) -> None:
    """Add a bias of zeros to each convolution that a single number is added to, as in a hard swish without
    normalization.

    NNCF takes that number for the bias, and its correction then fails: "cannot reshape array of size 24 into shape ()".
    """
    for op in model.get_ordered_ops():
        if op.get_type_name() in CONVOLUTIONS and any(is_scalar_add(user) for user in find_readers(op)):
            insert_zero_bias(op)


def find_readers(op: ov.Node) -> list[ov.Node]:
    return [user.get_node() for user in op.output(0).get_target_inputs()]


def is_scalar_add(op: ov.Node) -> bool:
    if op.get_type_name() != "Add":
        return False
    operands = [value.get_node() for value in op.input_values()]
    return any(node.get_type_name() == "Constant" and node.data.size == 1 for node in operands)


def insert_zero_bias(op: ov.Node) -> None:
    """Insert an Add of zeros, one per channel, after the convolution."""
    shape = op.get_output_partial_shape(0)
    zeros = np.zeros((1, shape[1].get_length(), *[1] * (len(shape) - 2)), np.float32)
    readers = list(op.output(0).get_target_inputs())
    bias = ov.opset13.add(op, ov.opset13.constant(zeros))
    bias.set_friendly_name(f"{op.get_friendly_name()}/bias")
    for reader in readers:
        reader.replace_source_output(bias.output(0))
