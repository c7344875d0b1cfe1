"""A canonical form of ONNX files: tf2onnx numbers names and unknown sizes differently each time, and orders by them."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import onnx

Names = dict[str, str]


def canonicalize(model: onnx.ModelProto, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> onnx.ModelProto:
    """A copy with nodes in the order of a depth-first walk from the outputs, and names that follow from that order.

    The model's inputs and outputs are named `inputs` and `outputs`, of which no two may be equal; they keep their names
    where none are given. Their unknown sizes are renamed. Initializers are in the order of their first use. The graphs
    inside of Loop, If and Scan are treated alike. One difference remains: of two equal results of a loop, tf2onnx makes
    either the copy of the other.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    names = {item.name: item.name for item in (*graph.input, *graph.output)}
    names |= {item.name: name for item, name in zip(graph.input, inputs, strict=False)}
    names |= {item.name: name for item, name in zip(graph.output, outputs, strict=False)}
    order_and_rename(graph, names, "")
    for item in (*graph.input, *graph.output):
        item.name = names[item.name]
    rename_sizes(graph)
    graph.name, graph.doc_string, result.doc_string = "model", "", ""
    return onnx.shape_inference.infer_shapes(result)


def order_and_rename(graph: onnx.GraphProto, names: Names, prefix: str) -> None:
    """Order and rename the graph's nodes and initializers, in place.

    `names` maps old names to new ones: of the tensors from outside, and afterwards of the graph's own too.
    """
    nodes = sort_nodes(graph)
    used = names_by_first_use(graph, nodes)
    assign_names(graph, nodes, names, prefix)
    for number, node in enumerate(nodes):
        node.name, node.doc_string, node.domain = f"{prefix}{node.op_type}_{number}", "", node.domain
        for number_inside, inner in enumerate(inner_graphs(node)):
            rename_inner(inner, names, f"{node.name}_graph_{number_inside}_")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        replace_items(node.attribute, sorted(node.attribute, key=lambda attribute: attribute.name))
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    initializers = [tensors[name] for name in used if name in tensors]
    for tensor in initializers:
        tensor.name = names[tensor.name]
    replace_items(graph.node, nodes)
    replace_items(graph.initializer, initializers)
    del graph.value_info[:]


def rename_inner(graph: onnx.GraphProto, outer_names: Names, prefix: str) -> None:
    """Order and rename a graph inside of an operator, in place, with its inputs and outputs."""
    names = dict(outer_names)
    for number, item in enumerate(graph.input):
        names[item.name] = f"{prefix}input_{number}"
    order_and_rename(graph, names, prefix)
    for item in (*graph.input, *graph.output):
        item.name = names[item.name]
        for dim in item.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.Clear()
    graph.name, graph.doc_string = "graph", ""


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs inside of a Loop, If or Scan; none of other operators."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g


def names_read(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node reads: its inputs, and those that the graphs inside of it take from outside."""
    yield from (name for name in node.input if name)
    for graph in inner_graphs(node):
        local = {item.name for item in (*graph.input, *graph.initializer)}
        local |= {name for inner in graph.node for name in inner.output}
        names = [name for inner in graph.node for name in names_read(inner)] + [item.name for item in graph.output]
        yield from (name for name in names if name not in local)


def sort_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, each after those it reads from."""
    nodes = list(graph.node)
    makers = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    ordered: dict[int, None] = {}
    stack = [makers[item.name] for item in reversed(graph.output) if item.name in makers]
    while stack:
        number = stack[-1]
        needed = [makers[name] for name in names_read(nodes[number]) if name in makers]
        waiting = [other for other in needed if other not in ordered]
        if waiting and number not in ordered:
            stack.extend(reversed(waiting))
        else:
            ordered[stack.pop()] = None
    return [nodes[number] for number in ordered]


def names_by_first_use(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[str]:
    used = [name for node in nodes for name in names_read(node)] + [item.name for item in graph.output]
    return list(dict.fromkeys(used))


def assign_names(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], names: Names, prefix: str) -> None:
    """Add new names to `names`, in place, for the graph's own constants and results, in the order of first use."""
    constants = {tensor.name for tensor in graph.initializer}
    fixed, taken = set(names), set(names.values())  # an input of the model may have any name
    for number, node in enumerate(nodes):
        for position, name in enumerate(names_read(node)):
            if name in constants and name not in names:
                names[name] = unused_name(f"{prefix}{node.op_type}_{number}_constant_{position}", taken)
        for position, name in enumerate(node.output):
            if name and name not in fixed:
                names[name] = unused_name(f"{prefix}{node.op_type}_{number}_output_{position}", taken)
    for number, item in enumerate(graph.output):
        if item.name in constants:
            names.setdefault(item.name, unused_name(f"{prefix}constant_output_{number}", taken))


def unused_name(name: str, taken: Collection[str]) -> str:
    """`name`, with as many underscores at its end as make it none of `taken`."""
    while name in taken:
        name += "_"
    return name


def rename_sizes(graph: onnx.GraphProto) -> None:
    """Rename the unknown sizes of inputs and outputs, in place: `batch` on the first axis, else size_0, size_1 …"""
    names: Names = {}
    for item in (*graph.input, *graph.output):
        for axis, dim in enumerate(item.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = names.setdefault(dim.dim_param, f"size_{len(names)}") if axis else "batch"


def replace_items(field: Any, items: list[Any]) -> None:
    """Replace the content of a repeated field by copies of these items, which may be its own."""
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
