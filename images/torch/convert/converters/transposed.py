"""ConvTranspose whose padding is uneven, as Keras' "same" gives it: PyTorch's own cuts both ends alike."""

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


class Cut(torch.nn.Module):
    """Without the first `begins` and the last `ends` values of each axis after the channels."""

    def __init__(self, begins: Sequence[int], ends: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(begins, ends, strict=True)
        self.places = (..., *(slice(begin, -end if end else None) for begin, end in pairs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[self.places]


def pads(node: OnnxNode, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """What is cut off at the beginning and at the end of each axis. NotImplementedError where sizes decide."""
    known, rank = node.attributes, len(kernel)
    kind = known.get("auto_pad", "NOTSET")
    if "output_shape" in known:
        raise NotImplementedError("ConvTranspose with an output_shape is not implemented")
    if kind in ("NOTSET", "VALID"):
        both = known.get("pads", [0] * 2 * rank) if kind == "NOTSET" else [0] * 2 * rank
        return both[:rank], both[rank:]
    strides, dilations = known.get("strides", [1] * rank), known.get("dilations", [1] * rank)
    more = known.get("output_padding", [0] * rank)
    totals = [
        (size - 1) * dilation + 1 + extra - stride
        for size, dilation, extra, stride in zip(kernel, dilations, more, strides, strict=True)
    ]
    if min(totals) < 0:
        raise NotImplementedError(f"ConvTranspose with {kind} and a stride beyond its kernel is not implemented")
    less = [total // 2 for total in totals]
    rest = [total - half for total, half in zip(totals, less, strict=True)]
    return (less, rest) if kind == "SAME_UPPER" else (rest, less)


@add_converter("ConvTranspose", 1)
@add_converter("ConvTranspose", 11)
@add_converter("ConvTranspose", 22)
def conv_transpose(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """PyTorch cuts what is to be cut at both ends; a slice behind it cuts the rest."""
    weight, *bias = (graph.initializers[name].to_torch() for name in node.input_values[1:] if name)
    rank, groups = weight.dim() - 2, node.attributes.get("group", 1)
    begins, ends = pads(node, weight.shape[2:])
    alike = [min(pair) for pair in zip(begins, ends, strict=True)]
    kind: Any = KINDS[rank]  # its three classes want tuples of one, two and three sizes
    module: torch.nn.Module = kind(
        weight.shape[0],
        weight.shape[1] * groups,
        tuple(weight.shape[2:]),
        stride=tuple(node.attributes.get("strides", [1] * rank)),
        padding=tuple(alike),
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
        cut = Cut(
            [a - b for a, b in zip(begins, alike, strict=True)], [a - b for a, b in zip(ends, alike, strict=True)]
        )
        module = torch.nn.Sequential(module, cut)
    return OperationConverterResult(module, OnnxMapping(inputs=node.input_values[:1], outputs=node.output_values))
