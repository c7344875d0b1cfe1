"""Finds the operators of a SavedModel's program that do more than compute, in the file, before TensorFlow loads it.

Every operator counts, in the graph and in every function of its library, whether anything calls it or not: TensorFlow
itself replaces one function by another, by attributes such as `api_implements`. Attributes that the caller sets, and
functions that are missing from the file or have the name of an operator, are refused: what they do isn't in the file.

Operators that save and restore the variables (`SaveV2`, `RestoreV2`, …) are in every SavedModel. They are allowed in
the two functions by which the file itself saves and restores its variables, if nothing else in the file names these;
and in the graph, if nothing that is run to load the model or to predict depends on them.
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
CHECKPOINT_ATTRIBUTES = frozenset(("_construction_context", "_input_shapes"))  # of functions that save and restore
LOCAL_VARIABLES = "local_variables"  # the collection that TensorFlow initializes after loading a graph of TensorFlow 1


def read_program(folder: Path) -> SavedModel:
    """The program of the SavedModel in `folder`. CrossquantError where it can't be read."""
    model = SavedModel()
    try:
        model.ParseFromString((folder / FILE).read_bytes())
    except (DecodeError, OSError) as error:
        raise CrossquantError(f"{folder.name} is no SavedModel, or is cut short ({error}): get it again") from error
    return model


def clear_slot_variables(model: SavedModel) -> bool:
    """Remove, in place, an optimizer's slot variables, which TensorFlow 2.21 can't load. True if there were any."""
    nodes = [node for meta in model.meta_graphs for node in meta.object_graph_def.nodes if node.slot_variables]
    for node in nodes:
        node.ClearField("slot_variables")
    return bool(nodes)


def find_unsafe_operators(model: SavedModel) -> list[str]:
    """The names of the operators that are not known to only compute, sorted."""
    only_graph = len(model.meta_graphs) == 1
    return sorted({name for meta in model.meta_graphs for name in Program(meta, only_graph).unsafe_operators()})


class Program:
    """One graph of a SavedModel, with its functions. `only_graph`: the file has no other graph."""

    def __init__(self, meta: Any, only_graph: bool) -> None:
        self.meta, self.library = meta, meta.graph_def.library
        self.graph = {node.name: node for node in meta.graph_def.node}
        self.functions = {name for name in map(function_name, self.library.function) if not op_def_registry.get(name)}
        self.checkpoint_functions: dict[str, set[str]] = {}  # those that read or write a checkpoint, by which operators
        for function in filter(checkpoint_operators, self.library.function):
            operators = self.checkpoint_functions.setdefault(function_name(function), set())
            operators.update(checkpoint_operators(function))
        # TensorFlow runs the file by its objects or, if TensorFlow 1 wrote it, by its graph.
        self.by_objects = only_graph and meta.HasField("object_graph_def")

    def unsafe_operators(self) -> Iterator[str]:
        """The operators that are not known to only compute; one may come several times."""
        for node in self.all_nodes():
            yield from self.unknown_operators(node)
        for function in self.library.function:
            yield from self.external_calls(function_name(function), function.attr)
            yield from set() if self.is_allowed(function) else checkpoint_operators(function)
        for node in self.ancestors(self.entry_points()):
            yield from {node.op} & SAVERS
            for name in called_functions(node) & set(self.checkpoint_functions):
                yield from self.checkpoint_functions[name]
        restoring = self.ancestors([self.meta.saver_def.restore_op_name])
        if not self.by_objects and not all(map(self.restores_own_file, restoring)):
            yield "RestoreV2"

    def all_nodes(self) -> Iterator[Any]:
        yield from self.meta.graph_def.node
        for function in self.library.function:
            yield from function.node_def

    def unknown_operators(self, node: Any) -> Iterator[str]:
        """The operators that a node runs and that are not known to only compute, or are not in the file."""
        if node.op == "PrintV2" and (stream := decode(node.attr["output_stream"].s) or "stderr") not in PRINTS:
            yield f"PrintV2 to {stream}"
        elif node.op not in COMPUTE | SAVERS | {"PrintV2"} | self.functions:
            yield node.op
        yield from self.external_calls(node.op, node.attr)

    def external_calls(self, name: str, attributes: Any) -> Iterator[str]:
        """Functions that these attributes of `name` call and the file lacks, and an attribute that the caller sets."""
        yield from set(functions_in(attributes)) - self.functions
        if any(placeholders(attributes)):
            yield f"{name} with an attribute that its caller sets"

    def is_allowed(self, function: Any) -> bool:
        """Does this function use no checkpoint, or is it the file's own saver, which nothing else refers to?"""
        if not checkpoint_operators(function):
            return True
        name = function_name(function)
        declared = name in self.declared_savers() and set(function.attr) <= CHECKPOINT_ATTRIBUTES
        return declared and not self.is_referenced(name)

    def declared_savers(self) -> set[str]:
        """The functions by which the file says that it saves and restores its variables."""
        tensors = self.meta.saver_def.save_tensor_name, self.meta.saver_def.restore_op_name
        nodes = [self.graph[name] for name in map(node_name, tensors) if name in self.graph]
        return {name for node in nodes for name in called_functions(node)}

    def is_referenced(self, name: str) -> bool:
        """Does an object, another function or a gradient contain the name of this function anywhere?"""
        others = (item for item in self.library.function if function_name(item) != name)
        holders = (self.meta.object_graph_def, *self.library.gradient, *self.library.registered_gradients, *others)
        return any(name.encode() in holder.SerializeToString() for holder in holders)

    def restores_own_file(self, node: Any) -> bool:
        """Does this node read no checkpoint, or only that of the SavedModel itself?"""
        filename = node_name(self.meta.saver_def.filename_tensor_name)
        own_file = node.op == "RestoreV2" and node_name(node.input[0]) == filename
        return (node.op not in SAVERS or own_file) and not called_functions(node) & set(self.checkpoint_functions)

    def entry_points(self) -> Iterator[str]:
        """The output tensors of signatures, and the operators that initialize a graph of TensorFlow 1."""
        for signature in self.meta.signature_def.values():
            for info in signature.outputs.values():
                yield from output_tensors(info)
        for collection in self.meta.collection_def.values():
            yield from collection.node_list.value
        for variable in (
            self.meta.collection_def[LOCAL_VARIABLES].bytes_list.value
            if LOCAL_VARIABLES in self.meta.collection_def
            else ()
        ):
            yield initializer_name(variable)

    def ancestors(self, tensors: Iterable[str]) -> Iterator[Any]:
        """The nodes of the graph that compute these tensors, with all that they depend on."""
        waiting, visited = list(map(node_name, tensors)), set()
        while waiting:
            name = waiting.pop()
            if name in visited or name not in self.graph:
                continue
            visited.add(name)
            yield self.graph[name]
            waiting.extend(map(node_name, self.graph[name].input))


def function_name(function: Any) -> str:
    return str(function.signature.name)


def checkpoint_operators(function: Any) -> set[str]:
    """The operators of a function that read or write a checkpoint."""
    return {node.op for node in function.node_def} & SAVERS


def output_tensors(info: Any) -> Iterator[str]:
    """The names of the tensors that an output of a signature consists of."""
    sparse = info.coo_sparse
    yield from (info.name, sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    for part in info.composite_tensor.components:
        yield from output_tensors(part)


def initializer_name(variable: bytes) -> str:
    """The name of the operator that gives a variable its first value."""
    try:
        return str(VariableDef.FromString(variable).initializer_name)
    except DecodeError as error:
        raise CrossquantError(f"{FILE} has a variable that can't be read ({error}): get it again") from error


def node_name(tensor: str) -> str:
    """The name of the node that computes a tensor, or that a control input waits for."""
    return tensor.removeprefix("^").partition(":")[0]


def called_functions(node: Any) -> set[str]:
    """The names of the functions that a node may call."""
    return {node.op, *functions_in(node.attr)}


def functions_in(attributes: Any) -> Iterator[str]:
    """The names of the functions in these attributes, and in the attributes of those."""
    for value in attributes.values():
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
                yield from functions_in(function.attr)


def placeholders(attributes: Any) -> Iterator[bool]:
    """For each attribute: does the caller of the function set it?"""
    for value in attributes.values():
        yield bool(value.placeholder)
        for function in (value.func, *value.list.func):
            yield from placeholders(function.attr)


def decode(value: bytes) -> str:
    return value.decode(errors="replace")
