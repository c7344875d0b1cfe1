"""Operators whose sizes and axes are constants, as plain methods: newer opsets made of those attributes inputs."""

from collections.abc import Callable

import torch
from onnx2torch.node_converters.clip import OnnxClip
from onnx2torch.node_converters.pad import OnnxPadStatic
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode

from images.torch.convert.converters.registry import Apply, computed, first_input, given, shape

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


def sliced(x: torch.Tensor, places: tuple[slice, ...], flipped: tuple[int, ...]) -> torch.Tensor:
    """PyTorch takes no negative step: those axes are turned round first."""
    return (x.flip(flipped) if flipped else x)[places]


@first_input("Slice", 10, 11, 13)
def slice_(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    if computed(node, graph):
        return None
    sizes = shape(node, graph)
    starts, ends, axes, steps = (given(node, graph, place) for place in (1, 2, 3, 4))
    places = [slice(None)] * len(sizes)
    flipped = []
    for number, (start, end) in enumerate(zip(starts or (), ends or (), strict=True)):
        axis = (axes[number] if axes else number) % len(sizes)
        step = steps[number] if steps else 1
        if step < 0:
            flipped.append(axis)
        places[axis] = slice(*(backwards(start, end, sizes[axis]) if step < 0 else forwards(start, end)), abs(step))
    return Apply(sliced, places=tuple(places), flipped=tuple(flipped))


def forwards(start: int, end: int) -> tuple[int, int | None]:
    return start, None if end >= 2**31 - 1 else end


def backwards(start: int, end: int, size: int) -> tuple[int, int]:
    """Where a slice that goes back starts and ends once its axis is turned round."""
    if not size:
        raise NotImplementedError("Slice with a negative step along an axis of unknown size is not implemented")
    start = min(start + size if start < 0 else start, size - 1)
    end = max(end + size if end < 0 else end, -1)
    return size - 1 - start, size - 1 - end


@first_input("Unsqueeze", 13, 21)
def unsqueeze(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    axes = given(node, graph, 1)
    if axes is None:
        return None
    rank = len(shape(node, graph)) + len(axes)
    return Apply(unsqueezed, axes=tuple(sorted(axis % rank for axis in axes)))


def unsqueezed(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    for axis in axes:
        x = x.unsqueeze(axis)
    return x


@first_input("Split", 13, 18)
def split(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    axis, sizes = node.attributes.get("axis", 0), given(node, graph, 1)
    if computed(node, graph):
        return None
    if sizes is None:
        return Apply(torch.chunk, chunks=len(node.output_values), dim=axis)
    return Apply(torch.split, split_size_or_sections=sizes, dim=axis)


@first_input("Pad", 11, 13, 18, 19, 21)
def pad(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    if computed(node, graph):
        return None
    sizes, value, axes = (given(node, graph, place) for place in (1, 2, 3))
    rank = len(shape(node, graph))
    pads = [0] * 2 * rank
    chosen = [axis % rank for axis in axes or range(rank)]
    for number, axis in enumerate(chosen):
        pads[axis], pads[axis + rank] = sizes[number], sizes[number + len(chosen)]  # type: ignore[index]
    mode = node.attributes.get("mode", "constant")
    number = value[0] if value else 0
    if mode == "constant" and not isinstance(number, float) and number:
        raise NotImplementedError("Pad of whole numbers with another value than 0 is not implemented")
    own = mode in ("reflect", "edge") and rank > 2 and min(pads) >= 0 and not any(pads[:2] + pads[rank : rank + 2])
    if mode == "constant" or own:
        return OnnxPadStatic.create_from_onnx_params(pads, mode, float(number))
    return Mirrored(pads[:rank], pads[rank:], mode)


class Mirrored(torch.nn.Module):
    """Padding by the tensor's own values along any axis: PyTorch's own takes the last few of three to five axes.

    What is cut off, by a negative number, is cut off first; then each axis is looked up where its values come from.
    """

    def __init__(self, begins: list[int], ends: list[int], mode: str) -> None:
        super().__init__()
        if mode not in WHERE:
            raise NotImplementedError(f"Pad with mode {mode} is not implemented")
        self.begins, self.ends, self.mode = begins, ends, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for axis, (begin, end) in enumerate(zip(self.begins, self.ends, strict=True)):
            if begin or end:
                x = x.narrow(axis, max(-begin, 0), x.size(axis) + min(begin, 0) + min(end, 0))
                x = torch.cat(WHERE[self.mode](x, axis, max(begin, 0), max(end, 0)), dim=axis)
        return x


def reflected(x: torch.Tensor, axis: int, begin: int, end: int) -> list[torch.Tensor]:
    """ONNX Runtime goes on to and fro where more is asked for than there is; this doesn't, and fails."""
    size = x.size(axis)
    before = x.narrow(axis, 1, begin).flip(axis)
    return [before, x, x.narrow(axis, size - 1 - end, end).flip(axis)]


def repeated(x: torch.Tensor, axis: int, begin: int, end: int) -> list[torch.Tensor]:
    first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.size(axis) - 1, 1)
    return [*[first] * begin, x, *[last] * end]


def wrapped(x: torch.Tensor, axis: int, begin: int, end: int) -> list[torch.Tensor]:
    return [x.narrow(axis, x.size(axis) - begin, begin), x, x.narrow(axis, 0, end)]


WHERE = {"reflect": reflected, "edge": repeated, "wrap": wrapped}


@first_input("Expand", 8, 13)
def expand(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """A size of 1 in the target leaves what is there."""
    target, rank = given(node, graph, 1), len(shape(node, graph))
    if target is None:
        return None
    new = max(len(target) - rank, 0)
    kept = [-1 if size == 1 and place >= new else size for place, size in enumerate(target)]
    return Apply(expanded, size=[-1] * (rank - len(target)) + kept)


def expanded(x: torch.Tensor, size: list[int]) -> torch.Tensor:
    return x.expand(size)


@first_input("Tile", 6, 13)
def tile(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    repeats = given(node, graph, 1)
    return None if repeats is None else Apply(torch.tile, dims=repeats)


@first_input("CumSum", 11, 14)
def cumulative(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    axis = given(node, graph, 1)
    if axis is None or node.attributes.get("exclusive") or node.attributes.get("reverse"):
        return None
    return Apply(torch.cumsum, dim=axis[0])


def reduced(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    if computed(node, graph):
        return None
    axes = given(node, graph, 1) or node.attributes.get("axes")
    if not axes and node.attributes.get("noop_with_empty_axes"):
        return torch.nn.Identity()
    dims = tuple(axes or range(len(shape(node, graph))))
    keep = bool(node.attributes.get("keepdims", 1))
    return Apply(REDUCTIONS[node.operation_type], dim=dims, keepdim=keep)


for kind in REDUCTIONS:
    first_input(kind, *((13,) if kind == "ReduceSum" else ()), 18, 20)(reduced)


@first_input("Dropout", 7, 10, 12, 13, 22)
def dropout(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """Nothing, at inference: its ratio, which newer opsets made an input, is not looked at."""
    training = given(node, graph, 2)
    if (len(node.input_values) > 2 and node.input_values[2] and training != [False]) or len(node.output_values) > 1:
        return None
    return torch.nn.Identity()


@first_input("Clip", 11, 12, 13)
def clip(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """Either limit may be left out, by an empty name or by none at all."""
    names = [name for name in node.input_values[1:] if name]
    if any(name not in graph.initializers for name in names):
        return None
    least, greatest = (given(node, graph, place) for place in (1, 2))
    return clipping(least[0] if least else None, greatest[0] if greatest else None)


def clipping(least: float | None, greatest: float | None) -> torch.nn.Module:
    """A ReLU where it is one, which quantizers know."""
    if least is None and greatest is None:
        return torch.nn.Identity()
    if least == 0 and greatest in (None, 6):
        return torch.nn.ReLU() if greatest is None else torch.nn.ReLU6()
    return OnnxClip(least, greatest)
