"""Make constant what depends on the shape of the model's inputs alone: a quantizer can't follow a shape that is data.

tf2onnx leaves attention as dozens of Shape, Gather and ReduceProd that only say what the next Reshape is to make;
ONNX Runtime's own inference then gives up ("Incomplete symbolic shape inference"), and PyTorch can't trace it. The
values are those that ONNX Runtime computes for two batches: what is the same for both doesn't depend on the batch.

The Reshape targets of a file from Keras were made constant by images/keras/export/reshape.py, which has no ONNX
Runtime: of that one the other inputs are left, such as those of Slice and Expand. A file that was ONNX from the start
has all.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from images.onnx.session import open_session

BATCHES = (2, 3)
RECURRENT, STATES = ("LSTM", "GRU", "RNN"), (5, 6)  # the places of the states that they start from: without, zeros
Array = NDArray[Any]


def constant_targets(model: onnx.ModelProto, scratch: Path) -> int:
    """Rewrite `model` in place; the number of inputs of nodes that became constants.

    Of a Reshape target the one size that follows the batch becomes -1. Nothing is changed where a size other than the
    batch is unknown: two sizes would have to be guessed.
    """
    readers = frontier(model.graph)
    if not readers or not static(model.graph):
        return 0
    wanted = {node.output[0] if reshapes(node, place) else node.input[place] for node, place in readers}
    first, second = (values(model, sorted(wanted), batch, scratch) for batch in BATCHES)
    changed = 0
    for node, place in readers:
        found = constant(node, place, first, second)
        if found is not None:
            name = f"{node.output[0]}_constant_{place}"
            node.input[place] = add(model.graph, found, name) if found.size else ""
            changed += 1
    if changed and not any(map(inside, model.graph.node)):
        drop_unread(model.graph)
    return changed


def frontier(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, int]]:
    """Where a node reads, at which place, what is made of shapes and constants alone.

    Nodes with a graph inside (If, Loop) read what isn't in their inputs: they stay as they are.
    """
    shapes: set[str] = set()
    known = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if node.op_type == "Shape" or (not inside(node) and known.issuperset(node.input)):
            known.update(node.output)
            shapes.update(node.output)
    others = [node for node in graph.node if shapes.isdisjoint(node.output)]
    return [(node, place) for node in others for place, name in enumerate(node.input) if name in shapes]


def inside(node: onnx.NodeProto) -> bool:
    """Does it hold a graph of its own?"""
    return any(item.type == onnx.AttributeProto.GRAPH for item in node.attribute)


def reshapes(node: onnx.NodeProto, place: int) -> bool:
    return (node.op_type, place) == ("Reshape", 1)


def static(graph: onnx.GraphProto) -> bool:
    """Is the first size the only one of each input that may be unknown?"""
    dims = [dim for item in graph.input for dim in item.type.tensor_type.shape.dim[1:]]
    return bool(graph.input) and all(dim.HasField("dim_value") for dim in dims)


def values(model: onnx.ModelProto, wanted: Iterable[str], batch: int, scratch: Path) -> dict[str, Array]:
    """What ONNX Runtime computes for these tensors, from zeros."""
    exposed = onnx.ModelProto.FromString(model.SerializeToString())
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    onnx.save(exposed, scratch / "targets.onnx")
    session = open_session(scratch / "targets.onnx", 1)
    return dict(zip(wanted, session.run(None, zeros(model.graph, batch)), strict=True))


def zeros(graph: onnx.GraphProto, batch: int) -> dict[str, Array]:
    found = {}
    for item in graph.input:
        kind = item.type.tensor_type
        sizes = [dim.dim_value for dim in kind.shape.dim]
        sizes[:1] = [sizes[0] or batch] if sizes else []
        found[item.name] = np.zeros(sizes, helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return found


def constant(node: onnx.NodeProto, place: int, first: dict[str, Array], second: dict[str, Array]) -> Array | None:
    """What `node` is to read at `place` instead: nothing at all for the zeros that a recurrent layer starts from."""
    if reshapes(node, place):
        return target(first[node.output[0]].shape, second[node.output[0]].shape)
    one, other = first[node.input[place]], second[node.input[place]]
    if node.op_type in RECURRENT and place in STATES and not one.any() and not other.any():
        return np.empty(0)
    return one if one.shape == other.shape and (one == other).all() else None


def target(first: tuple[int, ...], second: tuple[int, ...]) -> Array | None:
    """The shape as a constant, or None where more than one size follows the batch."""
    sizes = [one if one == other else -1 for one, other in zip(first, second, strict=True)]
    return np.array(sizes, np.int64) if sizes.count(-1) <= 1 else None


def add(graph: onnx.GraphProto, value: Array, name: str) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove the nodes and constants whose results nothing reads any more, in a graph without graphs inside."""
    read = {item.name for item in graph.output}
    kept = []
    for node in reversed(graph.node):
        if not read.isdisjoint(node.output):
            kept.append(node)
            read.update(node.input)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(copies)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
