"""Converters for operators whose sizes and axes are constants: newer opsets turned such attributes into inputs."""

from collections.abc import Callable

import torch
from onnx2torch.node_converters.clip import OnnxClip
from onnx2torch.node_converters.pad import OnnxPadStatic
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

from images.torch.convert.converters.registry import (
    Apply,
    constant_input,
    has_computed_input,
    input_shape,
    register_first_input,
    replace_converter,
)

REDUCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "ReduceMean": torch.mean,
    "ReduceSum": torch.sum,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceL1": lambda x, **axes: x.abs().sum(**axes),
    "ReduceL2": lambda x, **axes: (x * x).sum(**axes).sqrt(),
    "ReduceSumSquare": lambda x, **axes: (x * x).sum(**axes),
    "ReduceLogSum": lambda x, **axes: x.sum(**axes).log(),
}


def apply_slice(x: torch.Tensor, places: tuple[slice, ...], flipped: tuple[int, ...]) -> torch.Tensor:
    """Slice; axes with a negative step, which PyTorch doesn't support, are flipped first."""
    return (x.flip(flipped) if flipped else x)[places]


@register_first_input("Slice", 10, 11, 13)
def convert_slice(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    if has_computed_input(node, graph):
        return None
    sizes = input_shape(node, graph)
    starts, ends, axes, steps = (constant_input(node, graph, place) for place in (1, 2, 3, 4))
    places = [slice(None)] * len(sizes)
    flipped = []
    for number, (start, end) in enumerate(zip(starts or (), ends or (), strict=True)):
        axis = (axes[number] if axes else number) % len(sizes)
        step = steps[number] if steps else 1
        if step < 0:
            flipped.append(axis)
        places[axis] = slice(
            *(backward_bounds(start, end, sizes[axis]) if step < 0 else forward_bounds(start, end)), abs(step)
        )
    return Apply(apply_slice, places=tuple(places), flipped=tuple(flipped))


def forward_bounds(start: int, end: int) -> tuple[int, int | None]:
    return start, None if end >= 2**31 - 1 else end


def backward_bounds(start: int, end: int, size: int) -> tuple[int, int]:
    """Return where a slice with a negative step starts and ends on the flipped axis."""
    if not size:
        raise NotImplementedError("Slice with a negative step along an axis of unknown size is not implemented")
    start = min(start + size if start < 0 else start, size - 1)
    end = max(end + size if end < 0 else end, -1)
    return size - 1 - start, size - 1 - end


@register_first_input("Unsqueeze", 13, 21)
def convert_unsqueeze(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    axes = constant_input(node, graph, 1)
    if axes is None:
        return None
    rank = len(input_shape(node, graph)) + len(axes)
    return Apply(apply_unsqueeze, axes=tuple(sorted(axis % rank for axis in axes)))


def apply_unsqueeze(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    for axis in axes:
        x = x.unsqueeze(axis)
    return x


@register_first_input("Split", 13, 18)
def convert_split(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    axis, sizes = node.attributes.get("axis", 0), constant_input(node, graph, 1)
    if has_computed_input(node, graph):
        return None
    if len(node.output_values) == 1:  # of one step of a sequence: PyTorch would return a tuple
        return torch.nn.Identity()
    if sizes is None:
        return Apply(torch.chunk, chunks=len(node.output_values), dim=axis)
    return Apply(torch.split, split_size_or_sections=sizes, dim=axis)


@register_first_input("Pad", 11, 13, 18, 19, 21)
def convert_pad(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    if has_computed_input(node, graph):
        return None
    sizes, value, axes = (constant_input(node, graph, place) for place in (1, 2, 3))
    rank = len(input_shape(node, graph))
    pads = [0] * 2 * rank
    padded_axes = [axis % rank for axis in axes or range(rank)]
    for number, axis in enumerate(padded_axes):
        pads[axis], pads[axis + rank] = sizes[number], sizes[number + len(padded_axes)]  # type: ignore[index]
    mode = node.attributes.get("mode", "constant")
    number = value[0] if value else 0
    if mode == "constant" and not isinstance(number, float) and number:
        raise NotImplementedError("Pad of whole numbers with another value than 0 is not implemented")
    supported = (
        mode in ("reflect", "edge") and rank > 2 and min(pads) >= 0 and not any(pads[:2] + pads[rank : rank + 2])
    )
    if mode == "constant" or supported:
        return OnnxPadStatic.create_from_onnx_params(pads, mode, float(number))
    return MirrorPad(pads[:rank], pads[rank:], mode)


class MirrorPad(torch.nn.Module):
    """Padding by the tensor's own values along any axis: PyTorch's own pads only the last few of three to five axes.

    Negative padding crops first; then each axis is padded in turn.
    """

    def __init__(self, begins: list[int], ends: list[int], mode: str) -> None:
        super().__init__()
        if mode not in PAD_AXIS:
            raise NotImplementedError(f"Pad with mode {mode} is not implemented")
        self.begins, self.ends, self.mode = begins, ends, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for axis, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            if begin or end:
                x = x.narrow(axis, max(-begin, 0), x.size(axis) + min(begin, 0) + min(end, 0))
                x = torch.cat(PAD_AXIS[self.mode](x, axis, max(begin, 0), max(end, 0)), dim=axis)
        return x


def reflect_axis(x: torch.Tensor, axis: int, begin: int, end: int) -> list[torch.Tensor]:
    """Pad by reflection once. ONNX Runtime reflects repeatedly if the padding is longer than the axis; this fails."""
    size = x.size(axis)
    before = x.narrow(axis, 1, begin).flip(axis)
    return [before, x, x.narrow(axis, size - 1 - end, end).flip(axis)]


def repeat_edge(x: torch.Tensor, axis: int, begin: int, end: int) -> list[torch.Tensor]:
    first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.size(axis) - 1, 1)
    return [*[first] * begin, x, *[last] * end]


def wrap_axis(x: torch.Tensor, axis: int, begin: int, end: int) -> list[torch.Tensor]:
    return [x.narrow(axis, x.size(axis) - begin, begin), x, x.narrow(axis, 0, end)]


PAD_AXIS = {"reflect": reflect_axis, "edge": repeat_edge, "wrap": wrap_axis}


@register_first_input("Expand", 8, 13)
def convert_expand(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """A size of 1 in the target keeps the input's size."""
    target, rank = constant_input(node, graph, 1), len(input_shape(node, graph))
    if target is None:
        return None
    added = max(len(target) - rank, 0)
    sizes = [-1 if size == 1 and place >= added else size for place, size in enumerate(target)]
    return Apply(apply_expand, size=[-1] * (rank - len(target)) + sizes)


def apply_expand(x: torch.Tensor, size: list[int]) -> torch.Tensor:
    return x.expand(size)


@register_first_input("Tile", 6, 13)
def convert_tile(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    repeats = constant_input(node, graph, 1)
    return None if repeats is None else Apply(torch.tile, dims=repeats)


@register_first_input("CumSum", 11, 14)
def convert_cumsum(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    axis = constant_input(node, graph, 1)
    if axis is None:
        return None
    exclusive, reverse = (bool(node.attributes.get(name, 0)) for name in ("exclusive", "reverse"))
    return Apply(apply_cumsum, axis=axis[0], exclusive=exclusive, reverse=reverse)


def apply_cumsum(x: torch.Tensor, axis: int, exclusive: bool, reverse: bool) -> torch.Tensor:
    """Sum the values up to each place, or from it with `reverse`; without its own value if `exclusive`."""
    start = x.flip(axis) if reverse else x
    sums = torch.cumsum(start, dim=axis, dtype=x.dtype)
    sums = sums - start if exclusive else sums
    return sums.flip(axis) if reverse else sums


def apply_product(x: torch.Tensor, dim: tuple[int, ...], keepdim: bool) -> torch.Tensor:
    """Multiply along several axes; PyTorch's own takes one."""
    for axis in dim:
        x = x.prod(axis, keepdim=True)
    return x if keepdim else x.squeeze(dim)


REDUCTIONS["ReduceProd"] = apply_product


def convert_reduction(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    if has_computed_input(node, graph):
        return None
    axes = constant_input(node, graph, 1) or node.attributes.get("axes")
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return torch.nn.Identity()
    dims = tuple(axes or range(len(input_shape(node, graph))))
    keep = bool(node.attributes.get("keepdims", 1))
    return Apply(REDUCTIONS[node.operation_type], dim=dims, keepdim=keep)


for kind in REDUCTIONS:
    register_first_input(kind, *((13,) if kind == "ReduceSum" else ()), 18, 20)(convert_reduction)


@register_first_input("Dropout", 7, 10, 12, 13, 22)
def convert_dropout(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """The identity: the ratio, an input in newer opsets, doesn't matter in inference."""
    training = constant_input(node, graph, 2)
    if (len(node.input_values) > 2 and node.input_values[2] and training != [False]) or len(node.output_values) > 1:
        return None
    return torch.nn.Identity()


class Clamp(torch.nn.Module):
    """Limits a tensor by tensors: those of `with_least` and `with_greatest` that are there, in this order."""

    def __init__(self, *, with_least: bool, with_greatest: bool) -> None:
        super().__init__()
        self.with_least, self.with_greatest = with_least, with_greatest

    def forward(self, x: torch.Tensor, *limits: torch.Tensor) -> torch.Tensor:
        raised = torch.maximum(x, limits[0]) if self.with_least else x
        return torch.minimum(raised, limits[-1]) if self.with_greatest else raised


@replace_converter("Clip", 11, 12, 13)
def convert_computed_clip(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:  # noqa: ARG001 - as all are called
    """For limits that are computed; constant ones are taken by the next converter."""
    least, greatest = (*map(bool, node.input_values[1:]), False, False)[:2]
    names = tuple(filter(None, node.input_values))
    module = Clamp(with_least=least, with_greatest=greatest)
    return OperationConverterResult(module, OnnxMapping(names, node.output_values))


@register_first_input("Clip", 11, 12, 13)
def convert_clip(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """Either limit may be omitted, by an empty name or by none at all."""
    names = [name for name in node.input_values[1:] if name]
    if any(name not in graph.initializers for name in names):
        return None
    least, greatest = (constant_input(node, graph, place) for place in (1, 2))
    return make_clip(least[0] if least else None, greatest[0] if greatest else None)


def make_clip(least: float | None, greatest: float | None) -> torch.nn.Module:
    """Return a ReLU or ReLU6 if the limits are its own, since quantizers know it."""
    if least is None and greatest is None:
        return torch.nn.Identity()
    if least == 0 and greatest in (None, 6):
        return torch.nn.ReLU() if greatest is None else torch.nn.ReLU6()
    return OnnxClip(least, greatest)
