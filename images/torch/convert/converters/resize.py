"""Resize by constant factors, as ONNX defines it: onnx2torch only warns where PyTorch's own would give other values."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode

from images.torch.convert.converters.registry import first_input, given, shape

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
ROUNDED = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda x: ceil(x - Fraction(1, 2)),
    "round_prefer_ceil": lambda x: floor(x + Fraction(1, 2)),
}


class Nearest(torch.nn.Module):
    """Each value of an axis taken from where `places`, one list an axis after the channels, say."""

    def __init__(self, places: list[list[int]]) -> None:
        super().__init__()
        for number, indices in enumerate(places):
            self.register_buffer(f"axis_{number}", torch.tensor(indices))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, indices in enumerate(self.buffers()):
            x = x.index_select(number + 2, indices)
        return x


@first_input("Resize", 11, 13, 18, 19)
def resize(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """NotImplementedError where PyTorch has no such interpolation, or the sizes must be known and aren't."""
    scales, wanted = given(node, graph, 2), given(node, graph, 3)
    if not scales and not wanted:
        return None
    known = node.attributes
    sizes = shape(node, graph)
    if (scales and scales[:2] != [1, 1]) or (wanted and not scales and sizes[1] != wanted[1]) or known.get("axes"):
        raise NotImplementedError("Resize of batch or channels, or of chosen axes, is not implemented")
    mode, way = known.get("mode", "nearest"), known.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return nearest(sizes[2:], scales, wanted, way, known.get("nearest_mode", "round_prefer_floor"))
    if mode != "linear" or way not in ("half_pixel", "pytorch_half_pixel", "align_corners") or known.get("antialias"):
        raise NotImplementedError(f"Resize with {mode} interpolation and {way} is not implemented")
    factor: dict[str, Any] = {"scale_factor": tuple(scales[2:])} if scales else {"size": tuple((wanted or [])[2:])}
    return torch.nn.Upsample(**factor, mode=LINEAR[len(sizes) - 2], align_corners=way == "align_corners")


def nearest(
    sizes: list[int], scales: list[float] | None, wanted: list[int] | None, way: str, rounded: str
) -> torch.nn.Module:
    """PyTorch's own where it takes the same values, which it can on 8 bits."""
    if not all(sizes):
        raise NotImplementedError("Resize to the nearest of a tensor of unknown size is not implemented")
    factors = [Fraction(scale) for scale in scales[2:]] if scales else []
    factors = factors or [Fraction(new, old) for new, old in zip(wanted[2:], sizes, strict=True)]  # type: ignore[index]
    new = [floor(size * factor) for size, factor in zip(sizes, factors, strict=True)]
    places = [indices(*pair, way, rounded) for pair in zip(sizes, new, factors, strict=True)]
    simple = [
        np.repeat(np.arange(size), int(factor)).tolist() if factor.denominator == 1 else []
        for size, factor in zip(sizes, factors, strict=True)
    ]
    if places == simple:
        return torch.nn.Upsample(scale_factor=tuple(map(float, factors)), mode="nearest")
    return Nearest(places)


def indices(size: int, new: int, factor: Fraction, way: str, rounded: str) -> list[int]:
    """Where each of `new` values comes from, of `size` values."""
    found = [ROUNDED[rounded](place(number, size, new, factor, way)) for number in range(new)]
    return [min(max(number, 0), size - 1) for number in found]


def place(number: int, size: int, new: int, factor: Fraction, way: str) -> Fraction:
    half = Fraction(1, 2)
    if way == "asymmetric":
        return number / factor
    if way == "half_pixel" or (way == "pytorch_half_pixel" and new > 1):
        return (number + half) / factor - half
    if way == "pytorch_half_pixel":
        return Fraction(0)
    if way == "align_corners":
        return Fraction(number * (size - 1), new - 1) if new > 1 else Fraction(0)
    if way == "tf_half_pixel_for_nn":
        return (number + half) / factor
    raise NotImplementedError(f"Resize with {way} is not implemented")
