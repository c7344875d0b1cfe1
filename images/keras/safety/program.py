"""A SavedModel's program: which of its operators do more than compute? Read from the file, before TensorFlow loads it.

Every operator counts, in the graph and in every function of its library, whether anything calls it or not: TensorFlow
itself puts one function in another's place, by attributes such as `api_implements`. Attributes that a caller fills in,
and functions that the file lacks or that are called like an operator, are refused: what they do isn't in the file.

Those that keep the variables (`SaveV2`, `RestoreV2`, …) are in every SavedModel: they may stay in the two functions
that the file itself keeps its variables by, as long as nothing else in the file names these, and in the graph, as long
as nothing that loading or answering runs comes to them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework.variable_pb2 import VariableDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from images.keras.safety.tf_operators import COMPUTE, PRINTS, SAVERS
from shared.errors import CrossquantError

FILE = "saved_model.pb"
PLAIN = frozenset(("_construction_context", "_input_shapes"))  # attributes of the functions that keep the variables
LOCAL = "local_variables"  # the collection that TensorFlow initializes after loading a graph of TensorFlow 1


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
        self.meta, self.library = meta, meta.graph_def.library
        self.graph = {node.name: node for node in meta.graph_def.node}
        self.functions = {name for name in map(name_of, self.library.function) if not op_def_registry.get(name)}
        self.keepers: dict[str, set[str]] = {}  # functions that read or write a checkpoint, with what they do it by
        for function in filter(kept_by, self.library.function):
            self.keepers.setdefault(name_of(function), set()).update(kept_by(function))
        # How TensorFlow runs the file: by its objects and not by its graph, or, as one of TensorFlow 1, by its graph
        self.by_objects = alone and meta.HasField("object_graph_def")

    def refused(self) -> Iterator[str]:
        for node in self.every_node():
            yield from self.unknown(node)
        for function in self.library.function:
            yield from self.elsewhere(name_of(function), function.attr)
            yield from set() if self.keeps(function) else kept_by(function)
        for node in self.before(self.ends()):
            yield from {node.op} & SAVERS
            for name in called(node) & set(self.keepers):
                yield from self.keepers[name]
        if not self.by_objects and not all(map(self.restores, self.before([self.meta.saver_def.restore_op_name]))):
            yield "RestoreV2"

    def every_node(self) -> Iterator[Any]:
        yield from self.meta.graph_def.node
        for function in self.library.function:
            yield from function.node_def

    def unknown(self, node: Any) -> Iterator[str]:
        """What a node runs that is not known to only compute, or is not in the file."""
        if node.op == "PrintV2" and (stream := text(node.attr["output_stream"].s) or "stderr") not in PRINTS:
            yield f"PrintV2 to {stream}"
        elif node.op not in COMPUTE | SAVERS | {"PrintV2"} | self.functions:
            yield node.op
        yield from self.elsewhere(node.op, node.attr)

    def elsewhere(self, name: str, attributes: Any) -> Iterator[str]:
        """What these attributes leave to others than the file's own functions."""
        yield from set(of_attributes(attributes)) - self.functions
        if any(opened(attributes)):
            yield f"{name} with an attribute of its caller's"

    def keeps(self, function: Any) -> bool:
        """Is this no function that reads or writes a checkpoint, or the file's own, which nothing else comes to?"""
        name = name_of(function)
        return not kept_by(function) or (name in self.savers() and set(function.attr) <= PLAIN and not self.named(name))

    def savers(self) -> set[str]:
        """The functions that the file says it keeps its variables by."""
        ends = self.meta.saver_def.save_tensor_name, self.meta.saver_def.restore_op_name
        nodes = [self.graph[name] for name in map(node_of, ends) if name in self.graph]
        return {name for node in nodes for name in called(node)}

    def named(self, name: str) -> bool:
        """Does an object, another function or a gradient name this function, in whatever way?"""
        others = (item for item in self.library.function if name_of(item) != name)
        holders = (self.meta.object_graph_def, *self.library.gradient, *self.library.registered_gradients, *others)
        return any(name.encode() in holder.SerializeToString() for holder in holders)

    def restores(self, node: Any) -> bool:
        """Is this no reader of a checkpoint, or one of the file's own?"""
        own = node_of(self.meta.saver_def.filename_tensor_name)
        own_file = node.op == "RestoreV2" and node_of(node.input[0]) == own
        return (node.op not in SAVERS or own_file) and not called(node) & set(self.keepers)

    def ends(self) -> Iterator[str]:
        """Tensors that signatures answer with, and operators that a graph of TensorFlow 1 starts with."""
        for signature in self.meta.signature_def.values():
            for info in signature.outputs.values():
                yield from tensors(info)
        for collection in self.meta.collection_def.values():
            yield from collection.node_list.value
        for variable in self.meta.collection_def[LOCAL].bytes_list.value if LOCAL in self.meta.collection_def else ():
            yield initializer(variable)

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


def name_of(function: Any) -> str:
    return str(function.signature.name)


def kept_by(function: Any) -> set[str]:
    """The operators of a function that read or write a checkpoint."""
    return {node.op for node in function.node_def} & SAVERS


def tensors(info: Any) -> Iterator[str]:
    """All that an output consists of."""
    sparse = info.coo_sparse
    yield from (info.name, sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    for part in info.composite_tensor.components:
        yield from tensors(part)


def initializer(variable: bytes) -> str:
    """The operator that gives a variable its first value."""
    try:
        return str(VariableDef.FromString(variable).initializer_name)
    except DecodeError as error:
        raise CrossquantError(f"{FILE} has a variable that can't be read ({error}): get it again") from error


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


def opened(attributes: Any) -> Iterator[bool]:
    """For each attribute: is it one that the caller of the function sets?"""
    for value in attributes.values():
        yield bool(value.placeholder)
        for function in (value.func, *value.list.func):
            yield from opened(function.attr)


def text(value: bytes) -> str:
    return value.decode(errors="replace")
