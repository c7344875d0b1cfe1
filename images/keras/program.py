"""A SavedModel's program: which of its operators do more than compute? Read from the file, before TensorFlow loads it.

Every operator counts, in the graph and in every function of its library, whether anything calls it or not. Those that
keep the variables (`SaveV2`, `RestoreV2`, …) are in every SavedModel: they may stay as long as nothing that loading or
answering runs comes to them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from images.keras.tf_operators import COMPUTE, PRINTS, SAVERS
from shared.errors import CrossquantError

FILE = "saved_model.pb"


def read(folder: Path) -> SavedModel:
    holder = SavedModel()
    try:
        holder.ParseFromString((folder / FILE).read_bytes())
    except (DecodeError, OSError) as error:
        raise CrossquantError(f"{folder.name} is no SavedModel, or is cut short ({error}): get it again") from error
    return holder


def without_slots(model: SavedModel) -> bool:
    """Forget, in place, which variables are an optimizer's: TensorFlow 2.21 can't load them. True if there were any."""
    nodes = [node for meta in model.meta_graphs for node in meta.object_graph_def.nodes if node.slot_variables]
    for node in nodes:
        node.ClearField("slot_variables")
    return bool(nodes)


def refused(model: SavedModel) -> list[str]:
    """Names of the operators that are not known to only compute, sorted."""
    alone = len(model.meta_graphs) == 1
    return sorted({name for meta in model.meta_graphs for name in Program(meta, alone).refused()})


class Program:
    """One graph of a SavedModel, with its functions. `alone`: the file has no other graph."""

    def __init__(self, meta: Any, alone: bool) -> None:
        self.meta = meta
        self.functions = {function.signature.name: function.node_def for function in meta.graph_def.library.function}
        self.graph = {node.name: node for node in meta.graph_def.node}
        self.keepers = {name for name, nodes in self.functions.items() if any(node.op in SAVERS for node in nodes)}
        # How TensorFlow runs the file: by its objects and not by its graph, or, as one of TensorFlow 1, by its graph
        self.by_objects = alone and meta.HasField("object_graph_def")

    def refused(self) -> Iterator[str]:
        for node in (*self.graph.values(), *self.in_functions()):
            if node.op == "PrintV2" and (stream := text(node.attr["output_stream"].s) or "stderr") not in PRINTS:
                yield f"PrintV2 to {stream}"
            elif node.op not in COMPUTE | SAVERS | {"PrintV2"} and node.op not in self.functions:
                yield node.op
        for node in self.run():
            yield from {node.op} & SAVERS
            for name in called(node) & self.keepers:
                yield from {inner.op for inner in self.functions[name]} & SAVERS
        if not self.by_objects and not all(map(self.restores, self.before([self.meta.saver_def.restore_op_name]))):
            yield "RestoreV2"

    def in_functions(self) -> Iterator[Any]:
        for nodes in self.functions.values():
            yield from nodes

    def run(self) -> Iterator[Any]:
        """Nodes that loading or answering may run, but for those that restore the variables."""
        objects = self.meta.object_graph_def.SerializeToString()
        for name, nodes in self.functions.items():
            if name not in self.keepers or name.encode() in objects:
                yield from nodes
        yield from self.before(self.ends())

    def restores(self, node: Any) -> bool:
        """Is this no reader of a checkpoint, or one of the file's own?"""
        own = node_of(self.meta.saver_def.filename_tensor_name)
        own_file = node.op == "RestoreV2" and node_of(node.input[0]) == own
        return (node.op not in SAVERS or own_file) and not called(node) & self.keepers

    def ends(self) -> Iterator[str]:
        """Tensors that signatures answer with, and operators that a graph of TensorFlow 1 starts with."""
        for signature in self.meta.signature_def.values():
            for info in signature.outputs.values():
                sparse = info.coo_sparse
                yield from (info.name, sparse.values_tensor_name, sparse.indices_tensor_name)
                yield sparse.dense_shape_tensor_name
                yield from (part.name for part in info.composite_tensor.components)
        for collection in self.meta.collection_def.values():
            yield from collection.node_list.value

    def before(self, ends: Iterable[str]) -> Iterator[Any]:
        """The nodes of the graph that these come from, themselves included."""
        left, seen = list(map(node_of, ends)), set()
        while left:
            name = left.pop()
            if name in seen or name not in self.graph:
                continue
            seen.add(name)
            yield self.graph[name]
            left.extend(map(node_of, self.graph[name].input))


def node_of(tensor: str) -> str:
    """The node that gives a tensor, or that an input waits for."""
    return tensor.removeprefix("^").partition(":")[0]


def called(node: Any) -> set[str]:
    """Functions that a node may call."""
    return {node.op, *of_attributes(node.attr)}


def of_attributes(attributes: Any) -> Iterator[str]:
    for value in attributes.values():
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
                yield from of_attributes(function.attr)


def text(value: bytes) -> str:
    return value.decode(errors="replace")
