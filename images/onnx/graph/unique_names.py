"""Names that what ONNX Runtime's tools make up can't meet.

They call what they add after a tensor that there is: NAME + `_scale`, `_quantized`, `_QuantizeLinear_Output`,
`_ReduceMin`, and the copy of a bias that two layers share NAME + a number. A graph may have another tensor of just that
name, and then the wrong one is read in silence: of two layers one gets the other's weights (15 dB instead of 40).

So each name gets a mark at its end before they see the graph. What they add ends in a letter or a digit, so that no
name that is made up is one that there was, and no two are the same. Behind them the marks are taken off again.
"""

from collections.abc import Callable, Iterator, Sequence

import onnx

from images.onnx.graph.normalize import graphs

MARK = "·"
Rename = Callable[[str], str]


def marked(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """A copy of `model` with the mark at the end of every tensor's and every node's name, and the mark.

    A node without a name gets one, and one whose name another has a further mark: the quantizer goes by the names of
    nodes too.
    """
    mark = unused(model)
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    rename(copy.graph, lambda name: name + mark, lambda name: name + mark)
    taken: set[str] = set()
    for graph in graphs(copy.graph):
        for number, node in enumerate(graph.node):
            node.name = node.name if node.name != mark else f"{node.op_type}_{number}{mark}"
            while node.name in taken:
                node.name += mark
            taken.add(node.name)
    return copy, mark


def marked_nodes(source: onnx.ModelProto, copy: onnx.ModelProto, names: Sequence[str]) -> list[str]:
    """What the nodes of these names in `source` are called in its marked `copy`."""
    before, after = ([node for graph in graphs(model.graph) for node in graph.node] for model in (source, copy))
    return [other.name for node, other in zip(before, after, strict=True) if node.name in names]


def unmark(model: onnx.ModelProto, mark: str) -> None:
    """Take the marks off, in place: a name that was there is what it was; one that was made up keeps its mark where it
    would else be another's.
    """
    everything = list(graphs(model.graph))
    tensors = [name for graph in everything for name in tensor_names(graph)]
    nodes = [node.name for graph in everything for node in graph.node]
    rename(model.graph, freed(tensors, mark).__getitem__, freed(nodes, mark).__getitem__)


def freed(names: Sequence[str], mark: str) -> dict[str, str]:
    """What each name becomes, by what it is: first come those that end in a mark, as those that were there do."""
    distinct = list(dict.fromkeys(names))
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(distinct, key=lambda name: not name.endswith(mark)):
        plain = name.replace(mark, "")
        found[name] = plain if plain not in taken else name
        taken.add(found[name])
    return found


def unused(model: onnx.ModelProto) -> str:
    """The mark, so often that no name of the model has it."""
    names = [name for graph in graphs(model.graph) for name in tensor_names(graph)]
    names += [node.name for graph in graphs(model.graph) for node in graph.node]
    mark = MARK
    while any(mark in name for name in names):
        mark += MARK
    return mark


def tensor_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Each name that the graph gives or reads, the graphs in it left out; "" stands for no tensor and is none."""
    for node in graph.node:
        yield from (name for name in (*node.input, *node.output) if name)
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield item.name
    yield from (item.values.name for item in graph.sparse_initializer)


def rename(graph: onnx.GraphProto, tensor: Rename, node_name: Rename) -> None:
    """Each tensor, and each node, of the graph and of those in it."""
    for each in graphs(graph):
        for node in each.node:
            node.name = node_name(node.name)
            node.input[:] = [name and tensor(name) for name in node.input]
            node.output[:] = [name and tensor(name) for name in node.output]
        for item in (*each.input, *each.output, *each.value_info, *each.initializer):
            item.name = tensor(item.name)
        for sparse in each.sparse_initializer:
            sparse.values.name = tensor(sparse.values.name)
        for note in each.quantization_annotation:
            note.tensor_name = tensor(note.tensor_name)
