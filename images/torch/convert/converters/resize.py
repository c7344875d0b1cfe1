"""Converter for Resize by constant factors, as ONNX defines it: onnx2torch only warns where PyTorch's values differ."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode

from images.torch.convert.converters.registry import constant_input, input_shape, register_first_input

UNKNOWN_SIZE = "Resize to the nearest of a tensor of unknown size is not implemented"
STAND_IN = 4  # more than one, for what differs from the second value on
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
ROUNDED = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda x: ceil(x - Fraction(1, 2)),
    "round_prefer_ceil": lambda x: floor(x + Fraction(1, 2)),
}


class NearestResize(torch.nn.Module):
    """Selects along each axis after the channels the positions in `places`, one list per axis."""

    def __init__(self, places: list[list[int]]) -> None:
        super().__init__()
        for number, indices in enumerate(places):
            self.register_buffer(f"axis_{number}", torch.tensor(indices))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number, indices in enumerate(self.buffers()):
            x = x.index_select(number + 2, indices)
        return x


@register_first_input("Resize", 11, 13, 18, 19)
def convert_resize(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """NotImplementedError if PyTorch has no such interpolation, or the sizes are needed and unknown."""
    scales, target_sizes = constant_input(node, graph, 2), constant_input(node, graph, 3)
    if not scales and not target_sizes:
        return None
    attributes = node.attributes
    sizes = input_shape(node, graph)
    other_channels = not scales and target_sizes is not None and sizes[1] != target_sizes[1]
    if (scales and scales[:2] != [1, 1]) or other_channels or attributes.get("axes"):
        raise NotImplementedError("Resize of batch or channels, or of chosen axes, is not implemented")
    mode, transformation = (
        attributes.get("mode", "nearest"),
        attributes.get("coordinate_transformation_mode", "half_pixel"),
    )
    if mode == "nearest":
        return resize_nearest(
            sizes[2:], scales, target_sizes, transformation, attributes.get("nearest_mode", "round_prefer_floor")
        )
    if (
        mode != "linear"
        or transformation not in ("half_pixel", "pytorch_half_pixel", "align_corners")
        or attributes.get("antialias")
    ):
        raise NotImplementedError(f"Resize with {mode} interpolation and {transformation} is not implemented")
    factor: dict[str, Any] = (
        {"scale_factor": tuple(scales[2:])} if scales else {"size": tuple((target_sizes or [])[2:])}
    )
    return torch.nn.Upsample(**factor, mode=LINEAR[len(sizes) - 2], align_corners=transformation == "align_corners")


def resize_nearest(
    sizes: list[int], scales: list[float] | None, target_sizes: list[int] | None, transformation: str, rounded: str
) -> torch.nn.Module:
    """Use PyTorch's own Upsample if it selects the same values: it can run in 8 bits.

    Where a value comes from doesn't depend on the size of the axis, but for `align_corners`: an unknown size is tried
    as STAND_IN, for what Upsample does.
    """
    is_open = not all(sizes)
    if is_open and (not scales or transformation == "align_corners"):
        raise NotImplementedError(UNKNOWN_SIZE)
    sizes = [size or STAND_IN for size in sizes]
    factors = [Fraction(scale) for scale in scales[2:]] if scales else []
    factors = factors or [Fraction(new, old) for new, old in zip(target_sizes[2:], sizes, strict=True)]  # type: ignore[index]
    new = [floor(size * factor) for size, factor in zip(sizes, factors, strict=True)]
    positions = [source_indices(*pair, transformation, rounded) for pair in zip(sizes, new, factors, strict=True)]
    simple = [
        np.repeat(np.arange(size), int(factor)).tolist() if factor.denominator == 1 else []
        for size, factor in zip(sizes, factors, strict=True)
    ]
    if positions == simple:
        return torch.nn.Upsample(scale_factor=tuple(map(float, factors)), mode="nearest")
    if is_open:
        raise NotImplementedError(UNKNOWN_SIZE)
    return NearestResize(positions)


def source_indices(size: int, new: int, factor: Fraction, transformation: str, rounded: str) -> list[int]:
    """Return for each of `new` values the position that it comes from, of `size`."""
    positions = [ROUNDED[rounded](source_position(number, size, new, factor, transformation)) for number in range(new)]
    return [min(max(number, 0), size - 1) for number in positions]


def source_position(number: int, size: int, new: int, factor: Fraction, transformation: str) -> Fraction:
    """Return the exact source position of one value, by the coordinate transformation `way`."""
    half = Fraction(1, 2)
    if transformation == "asymmetric":
        return number / factor
    if transformation == "half_pixel" or (transformation == "pytorch_half_pixel" and new > 1):
        return (number + half) / factor - half
    if transformation == "pytorch_half_pixel":
        return Fraction(0)
    if transformation == "align_corners":
        return Fraction(number * (size - 1), new - 1) if new > 1 else Fraction(0)
    if transformation == "tf_half_pixel_for_nn":
        return (number + half) / factor
    raise NotImplementedError(f"Resize with {transformation} is not implemented")
