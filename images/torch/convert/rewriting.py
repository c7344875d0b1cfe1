"""Another graph for the same function, for when PyTorch can't convert, trace or quantize the one that is there.

Each step says what it changed. None of them is done where the graph as it is will do: what it makes is harder to find
again in the model that the user knows.
"""

from typing import Any

import onnx
from onnx import helper, inliner
from onnx2torch.node_converters.registry import get_converter

from images.torch.convert.folding import Constants, constants, fold
from images.torch.convert.padding import explicit_padding
from images.torch.convert.unrolling import unrolled

DOMAIN = "crossquant"  # of the operator that is ours: a linear layer, whatever the rank of what comes in


def rewrite(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """A model that computes the same, and what was changed; nothing where no step has anything to do."""
    notes: list[str] = []
    for step in (decomposed, stepped, folded, padded, joined):
        model, changes = step(inferred(model))
        notes += changes
    return model, notes


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the shapes that ONNX can infer; as it is where those that it states contradict each other."""
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        print(f"shapes are left as they are: {error}")
        return model


def lacking(model: onnx.ModelProto) -> list[str]:
    """The op types that have no converter."""
    version = {item.domain: item.version for item in model.opset_import}
    found = set()
    for node in model.graph.node:
        try:
            get_converter(node.op_type, version[node.domain], node.domain)
        except NotImplementedError:
            found.add(node.op_type)
    return sorted(found)


def decomposed(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Operators without a converter by those that ONNX itself defines them by."""
    wanted = [kind for kind in lacking(model) if defined(model, kind)]
    if not wanted:
        return model, []
    done = inliner.inline_selected_functions(model, [("", kind) for kind in wanted], inline_schema_functions=True)
    name_nodes(done.graph)
    return done, [f"{kind} by what ONNX defines it by" for kind in wanted]


def defined(model: onnx.ModelProto, kind: str) -> bool:
    version = next(item.version for item in model.opset_import if item.domain == "")
    if not onnx.defs.has(kind, version):
        return False
    schema: Any = onnx.defs.get_schema(kind, version)  # ONNX's annotations lack both properties
    return bool(schema.has_function or schema.has_context_dependent_function)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Inlining leaves nodes without names, and layers are found by them."""
    taken = {node.name for node in graph.node}
    for number, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{number}"
        while not node.name and name in taken:
            name += "_"
        node.name = name
        taken.add(name)


def stepped(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    model, names = unrolled(model)
    return model, [f"the loop {name} step by step" for name in names]


def folded(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    count = fold(model)
    return model, [f"{count} operators on constants by their values"] if count else []


def padded(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    return model, [f"the padding of {name} in numbers" for name in explicit_padding(model.graph)]


def joined(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """A product with constant weights, and the addition behind it, as the one layer that PyTorch quantizes."""
    known, notes = constants(model.graph), []
    for node in [node for node in model.graph.node if is_linear(node, known)]:
        bias = addition(node, model.graph, known)
        node.op_type, node.domain = "Linear", DOMAIN
        notes.append(f"{node.name} and {bias.name} as a linear layer" if bias else f"{node.name} as a linear layer")
        if bias is not None:
            node.input.append(next(name for name in bias.input if name in known))
            node.output[0] = bias.output[0]
            model.graph.node.remove(bias)
    if notes:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model, notes


def is_linear(node: onnx.NodeProto, known: Constants) -> bool:
    known_weight = node.op_type == "MatMul" and node.input[0] not in known and node.input[1] in known
    return known_weight and known[node.input[1]].ndim == 2


def addition(product: onnx.NodeProto, graph: onnx.GraphProto, known: Constants) -> onnx.NodeProto | None:
    """The Add of a constant for each output, if it is all that reads the product."""
    made = product.output[0]
    readers = [node for node in graph.node if made in node.input]
    if len(readers) != 1 or readers[0].op_type != "Add" or made in {item.name for item in graph.output}:
        return None
    wanted = known[product.input[1]].shape[1:]
    fits = [name for name in readers[0].input if name in known and known[name].shape == wanted]
    return readers[0] if fits else None
