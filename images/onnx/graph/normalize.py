"""Rewrites unusual but valid ways to write a graph as the usual way.

Exporters write an unknown size as -1 or 0, an omitted last input as an empty name, a bias as a row. ONNX allows the
latter two and ONNX Runtime runs all of them, but quantizers and converters misread them.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

GEMM = "Gemm"
OPTIONAL_OUTPUTS = ("BatchNormalization", "Dropout", "LayerNormalization", "MaxPool", "SkipLayerNormalization")


def normalize_model(model: onnx.ModelProto) -> None:
    """Rewrite `model` in place; it computes the same."""
    for graph in iterate_graphs(model.graph):
        clear_unknown_sizes(graph)
        drop_empty_inputs(graph)
    for function in model.functions:
        for node in function.node:
            strip_empty_inputs(node)
    densify_constants(model.graph)
    drop_unread_outputs(model.graph)
    flatten_biases(model.graph)
    fold_gemm_factors(model.graph)


def iterate_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield `graph` and all its subgraphs: branches and the bodies of loops."""
    yield graph
    for node in graph.node:
        for item in node.attribute:
            for inner in [item.g] if item.type == onnx.AttributeProto.GRAPH else item.graphs:
                yield from iterate_graphs(inner)


def clear_unknown_sizes(graph: onnx.GraphProto) -> None:
    """Clear sizes below one, which mean unknown; drop the shapes of inner tensors that have such a size."""
    for item in (*graph.input, *graph.output):
        for dim in item.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value < 1:
                dim.ClearField("dim_value")
    misdeclared = [
        item for item in graph.value_info if any(dim.dim_value < 0 for dim in item.type.tensor_type.shape.dim)
    ]
    for item in misdeclared:
        graph.value_info.remove(item)


def drop_empty_inputs(graph: onnx.GraphProto) -> None:
    """Drop the empty names at the end of each node's inputs."""
    for node in graph.node:
        strip_empty_inputs(node)


def strip_empty_inputs(node: onnx.NodeProto) -> None:
    """Drop the empty names at the end of the node's inputs: they mean the same as a shorter list."""
    while node.input and not node.input[-1]:
        node.input.pop()


def drop_unread_outputs(graph: onnx.GraphProto) -> None:
    """Drop optional outputs that nothing reads: converters mistake such a node for one that must give them."""
    read = names_read(graph)
    for node in graph.node:
        while node.op_type in OPTIONAL_OUTPUTS and len(node.output) > 1 and node.output[-1] not in read:
            node.output.pop()


def densify_constants(graph: onnx.GraphProto) -> None:
    """Replace sparse constants by dense ones: shape inference doesn't know sparse ones."""
    for sparse in list(graph.sparse_initializer):
        values, indices = (numpy_helper.to_array(tensor) for tensor in (sparse.values, sparse.indices))
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        dense[tuple(indices.T) if indices.ndim == 2 else np.unravel_index(indices, dense.shape)] = values
        graph.initializer.append(numpy_helper.from_array(dense, sparse.values.name))
    del graph.sparse_initializer[:]


def flatten_biases(graph: onnx.GraphProto) -> None:
    """Make the constant bias of each Gemm one value per output: ONNX allows any shape that can be broadcast to that."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    flattened: dict[tuple[str, int], str] = {}
    for node in graph.node:
        if node.op_type != GEMM or node.domain or len(node.input) < 3 or node.input[2] not in constants:
            continue
        size, bias = output_size(node, constants), constants[node.input[2]]
        if size is None or list(bias.dims) == [size] or not is_bias_per_output(bias, size):
            continue
        name = flattened.get((bias.name, size))
        if name is None:
            name = flattened[bias.name, size] = unused_name(f"{bias.name}_per_output", taken)
            values = np.broadcast_to(numpy_helper.to_array(bias).reshape(-1), (size,))
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        node.input[2] = name
    if flattened:
        drop_unread_constants(graph)


def fold_gemm_factors(graph: onnx.GraphProto) -> None:
    """Multiply the constants of each Gemm by its factors alpha and beta, and drop those.

    ONNX Runtime runs a quantized Gemm as QGemm, which multiplies the bias by alpha too, contrary to ONNX.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    changed = False
    for node in graph.node:
        if node.op_type != GEMM or node.domain:
            continue
        for position, factor in ((1, "alpha"), (2, "beta")):
            value = next((item.f for item in node.attribute if item.name == factor), 1.0)
            if value == 1 or position >= len(node.input) or node.input[position] not in constants:
                continue
            stored = numpy_helper.to_array(constants[node.input[position]])
            name = unused_name(f"{node.input[position]}_times_{factor}", taken)
            graph.initializer.append(numpy_helper.from_array((stored * stored.dtype.type(value)), name))
            node.input[position] = name
            node.attribute.remove(next(item for item in node.attribute if item.name == factor))
            changed = True
    if changed:
        drop_unread_constants(graph)


def gemms_with_scaled_bias(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the Gemms that still have an alpha: once quantized, their bias would be multiplied by it."""
    gemms = [node for node in graph.node if node.op_type == GEMM and len(node.input) > 2]
    return [node.name for node in gemms if any(item.name == "alpha" and item.f != 1 for item in node.attribute)]


def output_size(gemm: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> int | None:
    """Return the number of the Gemm's outputs per sample, or None if its weight is computed."""
    if gemm.input[1] not in constants:
        return None
    transposed = any(item.name == "transB" and item.i for item in gemm.attribute)
    return int(constants[gemm.input[1]].dims[0 if transposed else 1])


def is_bias_per_output(bias: onnx.TensorProto, size: int) -> bool:
    """Is the bias the same for all samples?"""
    dims = list(bias.dims)
    return len(dims) <= 2 and all(dim == 1 for dim in dims[:-1]) and (not dims or dims[-1] in (1, size))


def unused_name(name: str, taken: set[str]) -> str:
    """Append underscores to `name` until it is not in `taken`, add it there, and return it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def drop_unread_constants(graph: onnx.GraphProto) -> None:
    """Remove the constants that nothing in the graph or its subgraphs reads."""
    read = names_read(graph)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)


def names_read(graph: onnx.GraphProto) -> set[str]:
    """Return all names that are read in the graph or its subgraphs, by a node or as an output."""
    read = {name for inner in iterate_graphs(graph) for node in inner.node for name in node.input if name}
    return read | {item.name for inner in iterate_graphs(graph) for item in inner.output}
