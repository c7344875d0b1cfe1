"""Makes names unique against those that ONNX Runtime's tools derive from them.

The tools name what they add after an existing tensor: NAME + `_scale`, `_quantized`, `_QuantizeLinear_Output`,
`_ReduceMin`, or NAME + a number for the copy of a bias that two layers share. If the graph already has a tensor of that
name, the wrong one is read without an error: one of two layers gets the other's weights (15 dB instead of 40).

So every name gets a mark at its end before the tools see the graph. The names that they derive end in a letter or a
digit, so that none equals an existing one and no two are equal. Afterwards the marks are removed.
"""

from collections.abc import Callable, Iterator, Sequence

import onnx

from images.onnx.graph.normalize import iterate_graphs

MARK = "·"
Rename = Callable[[str], str]


def mark_names(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """Copy `model` with a mark at the end of every tensor's and node's name; return the copy and the mark.

    A node without a name gets one, and a name that two nodes share gets further marks: the quantizer identifies nodes
    by name.
    """
    mark = unused_mark(model)
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    rename_all(copy.graph, lambda name: name + mark, lambda name: name + mark)
    taken: set[str] = set()
    for graph in iterate_graphs(copy.graph):
        for number, node in enumerate(graph.node):
            node.name = node.name if node.name != mark else f"{node.op_type}_{number}{mark}"
            while node.name in taken:
                node.name += mark
            taken.add(node.name)
    return copy, mark


def marked_node_names(source: onnx.ModelProto, copy: onnx.ModelProto, names: Sequence[str]) -> list[str]:
    """Return the names in the marked `copy` of the nodes that have these names in `source`."""
    before, after = ([node for graph in iterate_graphs(model.graph) for node in graph.node] for model in (source, copy))
    return [other.name for node, other in zip(before, after, strict=True) if node.name in names]


def remove_marks(model: onnx.ModelProto, mark: str) -> None:
    """Remove the marks in place; a derived name keeps its mark if another tensor has the name without it."""
    everything = list(iterate_graphs(model.graph))
    tensors = [name for graph in everything for name in tensor_names(graph)]
    nodes = [node.name for graph in everything for node in graph.node]
    rename_all(
        model.graph, names_without_marks(tensors, mark).__getitem__, names_without_marks(nodes, mark).__getitem__
    )


def names_without_marks(names: Sequence[str], mark: str) -> dict[str, str]:
    """Map each name to the one without marks. The original names, which end in a mark, come first."""
    distinct = list(dict.fromkeys(names))
    renamed: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(distinct, key=lambda name: not name.endswith(mark)):
        plain = name.replace(mark, "")
        renamed[name] = plain if plain not in taken else name
        taken.add(renamed[name])
    return renamed


def unused_mark(model: onnx.ModelProto) -> str:
    """Return a mark that occurs in no name of the model."""
    names = [name for graph in iterate_graphs(model.graph) for name in tensor_names(graph)]
    names += [node.name for graph in iterate_graphs(model.graph) for node in graph.node]
    mark = MARK
    while any(mark in name for name in names):
        mark += MARK
    return mark


def tensor_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield each tensor name of the graph, without its subgraphs; "" stands for no tensor and is left out."""
    for node in graph.node:
        yield from (name for name in (*node.input, *node.output) if name)
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield item.name
    yield from (item.values.name for item in graph.sparse_initializer)


def rename_all(graph: onnx.GraphProto, tensor: Rename, node_name: Rename) -> None:
    """Rename all tensors and nodes of the graph and its subgraphs."""
    for inner in iterate_graphs(graph):
        for node in inner.node:
            node.name = node_name(node.name)
            node.input[:] = [name and tensor(name) for name in node.input]
            node.output[:] = [name and tensor(name) for name in node.output]
        for item in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            item.name = tensor(item.name)
        for sparse in inner.sparse_initializer:
            sparse.values.name = tensor(sparse.values.name)
        for note in inner.quantization_annotation:
            note.tensor_name = tensor(note.tensor_name)
