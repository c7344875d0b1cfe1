"""Converter for ConvTranspose with uneven padding, as Keras' "same" gives it: PyTorch crops both ends equally."""

from collections.abc import Sequence
from typing import Any

import torch
from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY, OperationDescription, add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

for version in (1, 11):
    _CONVERTER_REGISTRY.pop(OperationDescription("", "ConvTranspose", version))  # it raises for uneven padding
KINDS = {1: torch.nn.ConvTranspose1d, 2: torch.nn.ConvTranspose2d, 3: torch.nn.ConvTranspose3d}


class Crop(torch.nn.Module):
    """Crops the first `begins` and the last `ends` values of each axis after the channels."""

    def __init__(self, begins: Sequence[int], ends: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(begins, ends, strict=True)
        self.places = (..., *(slice(begin, -end if end else None) for begin, end in pairs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[self.places]


def crop_sizes(node: OnnxNode, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return what is cropped at the beginning and at the end of each axis. NotImplementedError if input
    sizes decide.
    """
    attributes, rank = node.attributes, len(kernel)
    kind = attributes.get("auto_pad", "NOTSET")
    if "output_shape" in attributes:
        raise NotImplementedError("ConvTranspose with an output_shape is not implemented")
    if kind in ("NOTSET", "VALID"):
        both = attributes.get("pads", [0] * 2 * rank) if kind == "NOTSET" else [0] * 2 * rank
        return both[:rank], both[rank:]
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    output_padding = attributes.get("output_padding", [0] * rank)
    totals = [
        (size - 1) * dilation + 1 + extra - stride
        for size, dilation, extra, stride in zip(kernel, dilations, output_padding, strides, strict=True)
    ]
    if min(totals) < 0:
        raise NotImplementedError(f"ConvTranspose with {kind} and a stride beyond its kernel is not implemented")
    smaller = [total // 2 for total in totals]
    larger = [total - half for total, half in zip(totals, smaller, strict=True)]
    return (smaller, larger) if kind == "SAME_UPPER" else (larger, smaller)


@add_converter("ConvTranspose", 1)
@add_converter("ConvTranspose", 11)
@add_converter("ConvTranspose", 22)
def convert_conv_transpose(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """PyTorch crops what both ends have in common; a slice crops the rest."""
    weight, *bias = (graph.initializers[name].to_torch() for name in node.input_values[1:] if name)
    rank, groups = weight.dim() - 2, node.attributes.get("group", 1)
    begins, ends = crop_sizes(node, weight.shape[2:])
    common = [min(pair) for pair in zip(begins, ends, strict=True)]
    kind: Any = KINDS[rank]  # its three classes want tuples of one, two and three sizes
    module: torch.nn.Module = kind(
        weight.shape[0],
        weight.shape[1] * groups,
        tuple(weight.shape[2:]),
        stride=tuple(node.attributes.get("strides", [1] * rank)),
        padding=tuple(common),
        output_padding=tuple(node.attributes.get("output_padding", [0] * rank)),
        groups=groups,
        dilation=tuple(node.attributes.get("dilations", [1] * rank)),
        bias=bool(bias),
    )
    parameters = dict(module.named_parameters())
    parameters["weight"].data = weight
    if bias:
        parameters["bias"].data = bias[0]
    if begins != ends:
        crop = Crop(
            [a - b for a, b in zip(begins, common, strict=True)], [a - b for a, b in zip(ends, common, strict=True)]
        )
        module = torch.nn.Sequential(module, crop)
    return OperationConverterResult(module, OnnxMapping(inputs=node.input_values[:1], outputs=node.output_values))
