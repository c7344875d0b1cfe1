"""Replaces what depends on the shapes of the inputs alone by constants: quantizers can't follow a shape that is data.

tf2onnx writes attention with dozens of Shape, Gather and ReduceProd nodes that only compute the target of the next
Reshape. ONNX Runtime's shape inference then fails ("Incomplete symbolic shape inference"), and PyTorch can't trace it.
The values are those that ONNX Runtime computes for two batch sizes: what is equal doesn't depend on the batch.

For files that come from Keras, images/keras/export/reshape.py has already done this for Reshape targets, without ONNX
Runtime; here the other inputs, such as those of Slice and Expand, follow. A user's own ONNX file has all of them.
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
RECURRENT, STATES = ("LSTM", "GRU", "RNN"), (5, 6)  # positions of the initial states; without them they are zero
Array = NDArray[Any]


def freeze_shape_inputs(model: onnx.ModelProto, scratch: Path) -> int:
    """Rewrite `model` in place; return the number of node inputs that became constants.

    The one size of a Reshape target that follows the batch becomes -1. Nothing is changed if any other size of the
    model's inputs is unknown.
    """
    readers = inputs_from_shapes(model.graph)
    if not readers or not has_known_sizes(model.graph):
        return 0
    observed = {
        node.output[0] if is_reshape_target(node, position) else node.input[position] for node, position in readers
    }
    first, second = (compute_tensors(model, sorted(observed), batch, scratch) for batch in BATCHES)
    changed = 0
    for node, position in readers:
        value = constant_input(node, position, first, second)
        if value is not None:
            name = f"{node.output[0]}_constant_{position}"
            node.input[position] = add_constant(model.graph, value, name) if value.size else ""
            changed += 1
    if changed and not any(map(has_subgraph, model.graph.node)):
        drop_unread_nodes(model.graph)
    return changed


def inputs_from_shapes(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, int]]:
    """Return (node, input position) for each input that is computed from shapes and constants alone.

    Nodes with a subgraph (If, Loop) may read more than their inputs, and are not replaced.
    """
    shapes: set[str] = set()
    computable = {tensor.name for tensor in graph.initializer} | {""}
    for node in graph.node:
        if node.op_type == "Shape" or (not has_subgraph(node) and computable.issuperset(node.input)):
            computable.update(node.output)
            shapes.update(node.output)
    others = [node for node in graph.node if shapes.isdisjoint(node.output)]
    return [(node, position) for node in others for position, name in enumerate(node.input) if name in shapes]


def has_subgraph(node: onnx.NodeProto) -> bool:
    """Has the node a subgraph?"""
    return any(item.type == onnx.AttributeProto.GRAPH for item in node.attribute)


def is_reshape_target(node: onnx.NodeProto, position: int) -> bool:
    """Is this input the target of a Reshape?"""
    return (node.op_type, position) == ("Reshape", 1)


def has_known_sizes(graph: onnx.GraphProto) -> bool:
    """Are all sizes of the inputs known, but for the first?"""
    dims = [dim for item in graph.input for dim in item.type.tensor_type.shape.dim[1:]]
    return bool(graph.input) and all(dim.HasField("dim_value") for dim in dims)


def compute_tensors(model: onnx.ModelProto, names: Iterable[str], batch: int, scratch: Path) -> dict[str, Array]:
    """Compute the tensors in `wanted` with ONNX Runtime, on inputs of zeros."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    onnx.save(copy, scratch / "targets.onnx")
    session = open_session(scratch / "targets.onnx", 1)
    return dict(zip(names, session.run(None, zero_inputs(model.graph, batch)), strict=True))


def zero_inputs(graph: onnx.GraphProto, batch: int) -> dict[str, Array]:
    """Return an input of zeros for each input, with `batch` samples if the batch is open."""
    inputs = {}
    for item in graph.input:
        tensor_type = item.type.tensor_type
        sizes = [dim.dim_value for dim in tensor_type.shape.dim]
        sizes[:1] = [sizes[0] or batch] if sizes else []
        inputs[item.name] = np.zeros(sizes, helper.tensor_dtype_to_np_dtype(tensor_type.elem_type))
    return inputs


def constant_input(
    node: onnx.NodeProto, position: int, first: dict[str, Array], second: dict[str, Array]
) -> Array | None:
    """Return the constant that `node` can read at `place`, or None if it depends on the batch.

    An empty array stands for no input at all: zero initial states of a recurrent layer are the default.
    """
    if is_reshape_target(node, position):
        return reshape_target(first[node.output[0]].shape, second[node.output[0]].shape)
    one, other = first[node.input[position]], second[node.input[position]]
    if node.op_type in RECURRENT and position in STATES and not one.any() and not other.any():
        return np.empty(0)
    return one if one.shape == other.shape and (one == other).all() else None


def reshape_target(first: tuple[int, ...], second: tuple[int, ...]) -> Array | None:
    """Return the shape as a constant with -1 for the batch, or None if more than one size follows the batch."""
    sizes = [one if one == other else -1 for one, other in zip(first, second, strict=True)]
    return np.array(sizes, np.int64) if sizes.count(-1) <= 1 else None


def add_constant(graph: onnx.GraphProto, value: Array, name: str) -> str:
    """Add a constant to the graph and return its name."""
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def drop_unread_nodes(graph: onnx.GraphProto) -> None:
    """Remove the nodes and constants that nothing reads, in a graph without subgraphs."""
    read = {item.name for item in graph.output}
    live_nodes = []
    for node in reversed(graph.node):
        if not read.isdisjoint(node.output):
            live_nodes.append(node)
            read.update(node.input)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(live_nodes)]
    del graph.node[:]
    graph.node.extend(copies)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
