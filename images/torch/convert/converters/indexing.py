"""Converters for operators that read or write places of a tensor: FX and torch.export can trace them.

onnx2torch has none, or one that turns the indices into Python's numbers, which a trace holds for all inputs.
"""

import torch
from onnx2torch.node_converters.gather import OnnxGather
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OperationConverterResult

from images.torch.convert.converters.registry import (
    Apply,
    constant_input,
    input_shape,
    register_first_input,
    replace_converter,
    take_every_input,
)


class GatherPlaces(torch.nn.Module):
    """Reads the slices that the rows of `places` name, after `batch_axes` axes that both tensors have."""

    def __init__(self, batch_axes: int, rank: int, width: int) -> None:
        super().__init__()
        self.batch_axes, self.rank, self.width = batch_axes, rank, width  # the rank and last size of the places

    def forward(self, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        places = places.long()
        batches = [
            torch.arange(x.size(axis)).reshape([-1 if axis == other else 1 for other in range(self.rank - 1)])
            for axis in range(self.batch_axes)
        ]
        return torch.ops.aten.index.Tensor(x, [*batches, *(places.select(-1, number) for number in range(self.width))])


class ScatterPlaces(torch.nn.Module):
    """Writes the updates to the slices that the rows of `places` name."""

    def __init__(self, width: int, *, accumulate: bool) -> None:
        super().__init__()
        self.width, self.accumulate = width, accumulate

    def forward(self, x: torch.Tensor, places: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        places = places.long()
        columns = [places.select(-1, number) for number in range(self.width)]
        return torch.ops.aten.index_put.default(x, columns, updates, self.accumulate)


class GatherElements(torch.nn.Module):
    """Reads the place that each index names along `axis`; a negative one counts from the end."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        indices = indices.long()
        return torch.gather(x, self.axis, torch.where(indices < 0, indices + x.size(self.axis), indices))


class ScatterElements(torch.nn.Module):
    """Writes each update to the place that its index names along `axis`; a negative one counts from the end."""

    def __init__(self, axis: int, *, accumulate: bool) -> None:
        super().__init__()
        self.axis, self.accumulate = axis, accumulate

    def forward(self, x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        indices = indices.long()
        places = torch.where(indices < 0, indices + x.size(self.axis), indices)
        return x.scatter_add(self.axis, places, updates) if self.accumulate else x.scatter(self.axis, places, updates)


class OneHot(torch.nn.Module):
    """Gives the value `on` at the index along a new axis, and `off` elsewhere; an index out of range is nowhere."""

    places: torch.Tensor
    off: torch.Tensor
    on: torch.Tensor

    def __init__(self, depth: int, values: torch.Tensor, axis: int) -> None:
        super().__init__()
        self.depth, self.axis = depth, axis
        self.register_buffer("places", torch.arange(depth))
        self.register_buffer("off", values[0])
        self.register_buffer("on", values[1])

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        indices = indices.long()
        positive = torch.where(indices < 0, indices + self.depth, indices).unsqueeze(-1)
        return torch.where(positive == self.places, self.on, self.off).movedim(-1, self.axis)


class ReverseSequence(torch.nn.Module):
    """Reverses the first values of each sample along `time_axis`: as many as `lengths` says."""

    def __init__(self, rank: int, batch_axis: int, time_axis: int) -> None:
        super().__init__()
        self.time_axis = time_axis
        self.along_batch = [-1 if axis == batch_axis else 1 for axis in range(rank)]
        self.along_time = [-1 if axis == time_axis else 1 for axis in range(rank)]

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(x.size(self.time_axis)).reshape(self.along_time)
        ends = lengths.long().reshape(self.along_batch)
        places = torch.where(steps < ends, ends - 1 - steps, steps)
        return torch.gather(x, self.time_axis, places.expand(x.size()))


@replace_converter("GatherND", 12, 13)
def convert_gather_nd(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    shape = input_shape(node, graph, 1)
    return take_every_input(
        GatherPlaces(node.attributes.get("batch_dims", 0), len(shape), last_size(node, shape)), node
    )


@replace_converter("ScatterND", 11, 13, 16, 18)
def convert_scatter_nd(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    width = last_size(node, input_shape(node, graph, 1))
    return take_every_input(ScatterPlaces(width, accumulate=is_addition(node)), node)


@replace_converter("GatherElements", 11, 13)
def convert_gather_elements(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:  # noqa: ARG001 - as all are called
    return take_every_input(GatherElements(node.attributes.get("axis", 0)), node)


@replace_converter("ScatterElements", 11, 13, 16, 18)
def convert_scatter_elements(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    axis = node.attributes.get("axis", 0) % len(input_shape(node, graph))
    return take_every_input(ScatterElements(axis, accumulate=is_addition(node)), node)


@replace_converter("ReverseSequence", 10)
def convert_reverse_sequence(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    batch_axis, time_axis = node.attributes.get("batch_axis", 1), node.attributes.get("time_axis", 0)
    return take_every_input(ReverseSequence(len(input_shape(node, graph)), batch_axis, time_axis), node)


@register_first_input("OneHot", 9, 11)
def convert_one_hot(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    depth = constant_input(node, graph, 1)
    if depth is None or node.input_values[2] not in graph.initializers:
        return None
    rank = len(input_shape(node, graph)) + 1
    values = graph.initializers[node.input_values[2]].to_torch()
    return OneHot(int(depth[0]), values, node.attributes.get("axis", -1) % rank)


@register_first_input("Trilu", 14)
def convert_trilu(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    diagonal = constant_input(node, graph, 1) or [0]
    if len(node.input_values) > 1 and node.input_values[1] not in graph.initializers:
        return None
    return Apply(torch.triu if node.attributes.get("upper", 1) else torch.tril, diagonal=diagonal[0])


@register_first_input("NonZero", 9, 13)
def convert_non_zero(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:  # noqa: ARG001 - as all are called
    return Apply(lambda x: torch.nonzero(x).transpose(0, 1))


@register_first_input("DepthToSpace", 1, 11, 13)
def convert_depth_to_space(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module | None:
    """Depth, row, column, as tf2onnx writes it; onnx2torch has the order of PyTorch's PixelShuffle."""
    if node.attributes.get("mode") == "CRD":
        return None
    _, channels, height, width = input_shape(node, graph)
    size = node.attributes["blocksize"]
    if not channels or not height or not width:
        raise NotImplementedError("DepthToSpace of a tensor of unknown size is not implemented")
    depth = channels // (size * size)

    def moved(x: torch.Tensor) -> torch.Tensor:
        parts = x.reshape(-1, size, size, depth, height, width).permute(0, 3, 4, 1, 5, 2)
        return parts.reshape(-1, depth, height * size, width * size)

    return Apply(moved)


@replace_converter("Gather", 1, 11, 13)
def convert_gather(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """onnx2torch's module, with an axis that is counted from the start if the rank is known."""
    axis = node.attributes.get("axis", 0)
    return take_every_input(OnnxGather(axis % len(input_shape(node, graph)) if axis < 0 else axis), node)


def last_size(node: OnnxNode, shape: list[int]) -> int:
    """Return the last size of the shape of a node's indices, which tells how many axes they name."""
    if not shape or not shape[-1]:
        raise NotImplementedError(f"{node.operation_type} by indices of unknown width is not implemented")
    return shape[-1]


def is_addition(node: OnnxNode) -> bool:
    """Are the updates added to what is there? NotImplementedError for other ways to combine them."""
    reduction = node.attributes.get("reduction", "none")
    if reduction not in ("none", "add"):
        raise NotImplementedError(f"{node.operation_type} with the reduction {reduction} is not implemented")
    return bool(reduction == "add")
