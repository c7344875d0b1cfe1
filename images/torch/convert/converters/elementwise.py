"""Converters for elementwise operators whose modules in onnx2torch ask for types or shapes while they run.

FX graph mode can't trace such a question. The answers are in the file.
"""

import operator
from collections.abc import Callable
from functools import partial, reduce

import torch
from onnx2torch.node_converters.binary_math_operations import OnnxBinaryMathOperation
from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY, OperationDescription
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OperationConverterResult

from images.torch.convert.converters.registry import (
    Apply,
    Converter,
    is_float_input,
    register_first_input,
    replace_converter,
    take_every_input,
)

divide_integers = partial(torch.div, rounding_mode="trunc")  # as ONNX divides integers: toward zero


class Combine(torch.nn.Module):
    """Combines any number of tensors, two at a time, and divides by `divisor`."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], divisor: int = 1) -> None:
        super().__init__()
        self.function, self.divisor = function, divisor

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        combined = reduce(self.function, tensors)
        return combined / self.divisor if self.divisor > 1 else combined


COMBINATIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "Min": torch.minimum,
    "Max": torch.maximum,
    "Sum": operator.add,
    "Mean": operator.add,
}


@replace_converter("Min", 8, 12, 13)
@replace_converter("Max", 8, 12, 13)
@replace_converter("Sum", 8, 13)
@replace_converter("Mean", 8, 13)
def convert_combination(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:  # noqa: ARG001 - as all are called
    kind = node.operation_type
    divisor = len(node.input_values) if kind == "Mean" else 1
    return take_every_input(Combine(COMBINATIONS[kind], divisor), node)


def convert_division(fallback: Converter, node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """Divide by the function for the type in the file, or ask for it in each call if the file doesn't tell."""
    floats = is_float_input(node, graph)
    if floats is None:
        return fallback(node, graph)
    module = OnnxBinaryMathOperation(node.operation_type)
    module.math_op_function = torch.div if floats else divide_integers
    return take_every_input(module, node)


for version in (7, 13, 14):
    previous = _CONVERTER_REGISTRY[OperationDescription("", "Div", version)]
    replace_converter("Div", version)(partial(convert_division, previous))


@register_first_input("PRelu", 7, 9, 16)
def convert_prelu(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """Not PyTorch's own layer, whose quantized form answers otherwise: by up to 0.85 of the largest value."""
    if node.input_values[1] not in graph.initializers:
        return None
    return SlopedRelu(graph.initializers[node.input_values[1]].to_torch())


class SlopedRelu(torch.nn.Module):
    """Multiplies negative values by a slope, which is broadcast as ONNX does it."""

    slope: torch.Tensor

    def __init__(self, slope: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("slope", slope)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x < 0, x * self.slope, x)


@register_first_input("Size", 1, 13, 19, 21, 23, 24, 25)
def convert_size(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:  # noqa: ARG001
    return Apply(count_values)


def count_values(x: torch.Tensor) -> torch.Tensor:
    """Return the number of values, as a tensor. images/torch/convert/sizes.py replaces it."""
    return torch.tensor(x.numel())
