"""One ONNX file for one model: tf2onnx numbers names and unknown sizes anew, and orders nodes by them."""

from collections.abc import Iterator
from typing import Any

import onnx

Names = dict[str, str]


def canonical(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with nodes in the order of a depth-first walk from the outputs, and names that follow from it.

    The names of the model's inputs and outputs stay, their unknown sizes are named anew. Initializers are in the order
    of their first use. The graphs inside of Loop, If and Scan are treated alike; of two equal results of a loop tf2onnx
    calls now one, now the other a copy, and that stays.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    fixed = {item.name: item.name for item in (*graph.input, *graph.output)}
    tidy(graph, fixed, "")
    name_sizes(graph)
    graph.name, graph.doc_string, result.doc_string = "model", "", ""
    return onnx.shape_inference.infer_shapes(result)


def tidy(graph: onnx.GraphProto, known: Names, prefix: str) -> None:
    """Order and rename, in place. `known` are the names from outside, and how they are called now."""
    nodes = walk(graph)
    used = first_uses(graph, nodes)
    names = rename(graph, nodes, known, prefix)
    for number, node in enumerate(nodes):
        node.name, node.doc_string, node.domain = f"{prefix}{node.op_type}_{number}", "", node.domain
        for number_inside, inner in enumerate(graphs(node)):
            name_inner(inner, names, f"{node.name}_graph_{number_inside}_")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        replace(node.attribute, sorted(node.attribute, key=lambda attribute: attribute.name))
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    kept = [tensors[name] for name in used if name in tensors]
    for tensor in kept:
        tensor.name = names[tensor.name]
    replace(graph.node, nodes)
    replace(graph.initializer, kept)
    del graph.value_info[:]


def name_inner(graph: onnx.GraphProto, known: Names, prefix: str) -> None:
    """A graph inside of an operator: the names of its inputs are free to change too, its outputs are a node's."""
    names = dict(known)
    for number, item in enumerate(graph.input):
        names[item.name] = f"{prefix}input_{number}"
    tidy(graph, names, prefix)  # it adds what the graph makes
    for item in (*graph.input, *graph.output):
        item.name = names[item.name]
        for dim in item.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.Clear()
    graph.name, graph.doc_string = "graph", ""


def graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node needs to be there: its inputs, and what the graphs inside of it take from outside."""
    yield from (name for name in node.input if name)
    for graph in graphs(node):
        own = {item.name for item in (*graph.input, *graph.initializer)}
        own |= {name for inner in graph.node for name in inner.output}
        wanted = [name for inner in graph.node for name in reads(inner)] + [item.name for item in graph.output]
        yield from (name for name in wanted if name not in own)


def walk(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each after those it reads."""
    nodes = list(graph.node)
    makers = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    ordered: dict[int, None] = {}
    stack = [makers[item.name] for item in reversed(graph.output) if item.name in makers]
    while stack:
        number = stack[-1]
        needed = [makers[name] for name in reads(nodes[number]) if name in makers]
        waiting = [other for other in needed if other not in ordered]
        if waiting and number not in ordered:
            stack.extend(reversed(waiting))
        else:
            ordered[stack.pop()] = None
    return [nodes[number] for number in ordered]


def first_uses(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[str]:
    used = [name for node in nodes for name in reads(node)] + [item.name for item in graph.output]
    return list(dict.fromkeys(used))


def rename(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], known: Names, prefix: str) -> Names:
    """Old name to new, in the order of first use; `known`, with what `graph` itself makes added to it."""
    constants = {tensor.name for tensor in graph.initializer}
    fixed = set(known)
    for number, node in enumerate(nodes):
        for position, name in enumerate(reads(node)):
            if name in constants and name not in known:
                known[name] = f"{prefix}{node.op_type}_{number}_constant_{position}"
        for position, name in enumerate(node.output):
            if name and name not in fixed:
                known[name] = f"{prefix}{node.op_type}_{number}_output_{position}"
    for number, item in enumerate(graph.output):
        if item.name in constants:
            known.setdefault(item.name, f"{prefix}constant_output_{number}")
    return known


def name_sizes(graph: onnx.GraphProto) -> None:
    """Call the unknown sizes of inputs and outputs `batch` on the first axis, else size_0, size_1 … as they come."""
    names: Names = {}
    for item in (*graph.input, *graph.output):
        for axis, dim in enumerate(item.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = names.setdefault(dim.dim_param, f"size_{len(names)}") if axis else "batch"


def replace(field: Any, items: list[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
