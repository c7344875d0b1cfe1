"""Converter for AveragePool with other padding before an axis than after it, which onnx2torch refuses."""

from collections.abc import Sequence

import torch
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from torch.nn.functional import pad

from images.torch.convert.converters.registry import input_shape, register_first_input

POOLS = {1: torch.nn.AvgPool1d, 2: torch.nn.AvgPool2d, 3: torch.nn.AvgPool3d}


class UnevenAveragePool(torch.nn.Module):
    """Averages of windows over an input that is padded with zeros.

    `pads` are those that `torch.nn.functional.pad` takes. With `sizes`, those of the input's axes after the channels,
    the padding doesn't count: each average is scaled by the share of its window that is no padding.
    """

    def __init__(
        self, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], sizes: Sequence[int] | None
    ) -> None:
        super().__init__()
        self.pads = list(pads)
        self.pool = POOLS[len(kernel)](tuple(kernel), tuple(strides))
        if sizes is None:
            self.scale = None
        else:
            self.register_buffer("scale", 1 / self.pool(pad(torch.ones(1, 1, *sizes), self.pads)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        averages: torch.Tensor = self.pool(pad(x, self.pads))
        return averages if self.scale is None else averages * self.scale


@register_first_input("AveragePool", 7, 10, 11)
def convert_average_pool(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """NotImplementedError where the size of the input is needed and unknown, or the last windows may be cut short."""
    attributes = node.attributes
    kernel = attributes["kernel_shape"]
    pads = attributes.get("pads", [0] * 2 * len(kernel))
    before, after = pads[: len(kernel)], pads[len(kernel) :]
    if before == after or attributes.get("auto_pad", "NOTSET") != "NOTSET":
        return None
    sizes = input_shape(node, graph)[2:]
    counted = attributes.get("count_include_pad", 0) == 1
    if attributes.get("ceil_mode", 0) or not (counted or all(sizes)):
        raise NotImplementedError("AveragePool with uneven padding and ceil_mode, or of unknown sizes")
    ends = [end for pair in reversed(list(zip(before, after, strict=True))) for end in pair]
    strides = attributes.get("strides", [1] * len(kernel))
    return UnevenAveragePool(kernel, strides, ends, None if counted else sizes)
