"""One ONNX file for one model: tf2onnx numbers names and unknown sizes anew, and orders nodes by them."""

import onnx


def canonical(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with nodes in the order of a depth-first walk from the outputs, and names that follow from it.

    The names of the model's inputs and outputs stay, their unknown sizes are named anew. Initializers are in the order
    of their first use. Graph attributes (If, Loop) are left as they are: tf2onnx makes none for a feed-forward model.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    nodes = walk(graph)
    names = rename(graph, nodes)
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}_{number}"
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        replace(node.attribute, sorted(node.attribute, key=lambda attribute: attribute.name))
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    kept = [tensors[name] for name in names if name in tensors]
    for tensor in kept:
        tensor.name = names[tensor.name]
    replace(graph.node, nodes)
    replace(graph.initializer, kept)
    name_sizes(graph)
    del graph.value_info[:]
    graph.name, graph.doc_string, result.doc_string = "model", "", ""
    return onnx.shape_inference.infer_shapes(result)


def walk(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each after those it reads."""
    makers = {name: node for node in graph.node for name in node.output}
    ordered: dict[str, onnx.NodeProto] = {}
    stack = [output.name for output in reversed(graph.output)]
    while stack:
        node = makers.get(stack[-1])
        if node is None or node.output[0] in ordered:
            stack.pop()
            continue
        needed = [makers[name] for name in node.input if name in makers]
        waiting = [item.output[0] for item in needed if item.output[0] not in ordered]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            ordered[node.output[0]] = node
    return list(ordered.values())


def rename(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> dict[str, str]:
    """Old name to new, in the order of first use."""
    fixed = {item.name for item in (*graph.input, *graph.output)} | {""}
    constants = {tensor.name for tensor in graph.initializer}
    names: dict[str, str] = {}
    for number, node in enumerate(nodes):
        for position, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = f"{node.op_type}_{number}_constant_{position}"
        for position, name in enumerate(node.output):
            if name not in fixed:
                names[name] = f"{node.op_type}_{number}_output_{position}"
    return names


def name_sizes(graph: onnx.GraphProto) -> None:
    """Call the unknown sizes of inputs and outputs `batch` on the first axis, else size_0, size_1 … as they come."""
    names: dict[str, str] = {}
    for item in (*graph.input, *graph.output):
        for axis, dim in enumerate(item.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = names.setdefault(dim.dim_param, f"size_{len(names)}") if axis else "batch"


def replace(field: object, items: list) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)
