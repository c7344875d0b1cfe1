"""Valid ways to write a graph that tools don't expect, rewritten as the usual way to write the same graph.

Exporters write an unknown size as -1 or 0, an input that is left out as an empty name at the end, a bias as a row.
ONNX allows the latter two and ONNX Runtime runs all of them; quantizers and converters take them for what they aren't.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

BIASED = "Gemm"
OPTIONAL_OUTPUTS = ("BatchNormalization", "Dropout", "LayerNormalization", "MaxPool", "SkipLayerNormalization")


def tidy(model: onnx.ModelProto) -> None:
    """Rewrite `model` in place; it computes the same."""
    for graph in graphs(model.graph):
        open_sizes(graph)
        drop_empty_inputs(graph)
    for function in model.functions:
        for node in function.node:
            strip(node)
    densify(model.graph)
    drop_unread_outputs(model.graph)
    flatten_biases(model.graph)
    drop_factors(model.graph)


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """`graph` and all that are inside of its nodes: branches, and bodies of loops."""
    yield graph
    for node in graph.node:
        for item in node.attribute:
            for inner in [item.g] if item.type == onnx.AttributeProto.GRAPH else item.graphs:
                yield from graphs(inner)


def open_sizes(graph: onnx.GraphProto) -> None:
    """A size below one is an unknown one. What is said of tensors inside with such a size is left out altogether."""
    for item in (*graph.input, *graph.output):
        for dim in item.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value < 1:
                dim.ClearField("dim_value")
    wrong = [item for item in graph.value_info if any(dim.dim_value < 0 for dim in item.type.tensor_type.shape.dim)]
    for item in wrong:
        graph.value_info.remove(item)


def drop_empty_inputs(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        strip(node)


def strip(node: onnx.NodeProto) -> None:
    """Without the empty names at the end of its inputs: they say no more than a shorter list."""
    while node.input and not node.input[-1]:
        node.input.pop()


def drop_unread_outputs(graph: onnx.GraphProto) -> None:
    """Nodes without the further outputs that nothing reads: converters take a node with two for one that gives two."""
    read = read_in(graph)
    for node in graph.node:
        while node.op_type in OPTIONAL_OUTPUTS and len(node.output) > 1 and node.output[-1] not in read:
            node.output.pop()


def densify(graph: onnx.GraphProto) -> None:
    """Sparse constants as ordinary ones: shape inference knows no others."""
    for sparse in list(graph.sparse_initializer):
        values, places = (numpy_helper.to_array(tensor) for tensor in (sparse.values, sparse.indices))
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        dense[tuple(places.T) if places.ndim == 2 else np.unravel_index(places, dense.shape)] = values
        graph.initializer.append(numpy_helper.from_array(dense, sparse.values.name))
    del graph.sparse_initializer[:]


def flatten_biases(graph: onnx.GraphProto) -> None:
    """The constant bias of each Gemm as one value for each output: ONNX allows whatever can be broadcast to that."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    made: dict[tuple[str, int], str] = {}
    for node in graph.node:
        if node.op_type != BIASED or node.domain or len(node.input) < 3 or node.input[2] not in constants:
            continue
        size, bias = outputs(node, constants), constants[node.input[2]]
        if size is None or list(bias.dims) == [size] or not per_output(bias, size):
            continue
        name = made.get((bias.name, size))
        if name is None:
            name = made[bias.name, size] = unused(f"{bias.name}_per_output", taken)
            values = np.broadcast_to(numpy_helper.to_array(bias).reshape(-1), (size,))
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        node.input[2] = name
    if made:
        drop_unread(graph)


def drop_factors(graph: onnx.GraphProto) -> None:
    """The factors of each Gemm in its constants.

    ONNX Runtime takes a quantized one for QGemm, which multiplies the sum by alpha: the bias too, whatever ONNX says.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}
    changed = False
    for node in graph.node:
        if node.op_type != BIASED or node.domain:
            continue
        for place, factor in ((1, "alpha"), (2, "beta")):
            value = next((item.f for item in node.attribute if item.name == factor), 1.0)
            if value == 1 or place >= len(node.input) or node.input[place] not in constants:
                continue
            stored = numpy_helper.to_array(constants[node.input[place]])
            name = unused(f"{node.input[place]}_times_{factor}", taken)
            graph.initializer.append(numpy_helper.from_array((stored * stored.dtype.type(value)), name))
            node.input[place] = name
            node.attribute.remove(next(item for item in node.attribute if item.name == factor))
            changed = True
    if changed:
        drop_unread(graph)


def multiplied_biases(graph: onnx.GraphProto) -> list[str]:
    """The names of the Gemms whose bias a quantizer would multiply: those whose factor could not be dropped."""
    found = [node for node in graph.node if node.op_type == BIASED and len(node.input) > 2]
    return [node.name for node in found if any(item.name == "alpha" and item.f != 1 for item in node.attribute)]


def outputs(gemm: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> int | None:
    """How many values it gives a sample; None where its weight is computed."""
    if gemm.input[1] not in constants:
        return None
    turned = any(item.name == "transB" and item.i for item in gemm.attribute)
    return int(constants[gemm.input[1]].dims[0 if turned else 1])


def per_output(bias: onnx.TensorProto, size: int) -> bool:
    """Is it the same for all samples?"""
    dims = list(bias.dims)
    return len(dims) <= 2 and all(dim == 1 for dim in dims[:-1]) and (not dims or dims[-1] in (1, size))


def unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove the constants that nothing reads any more, here or in a graph inside."""
    read = read_in(graph)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)


def read_in(graph: onnx.GraphProto) -> set[str]:
    """The names of all that is read here or in a graph inside, by a node or as an output."""
    read = {name for inner in graphs(graph) for node in inner.node for name in node.input if name}
    return read | {item.name for inner in graphs(graph) for item in inner.output}
