"""Rewrites a graph that PyTorch can't convert, trace or quantize as another one that computes the same.

Each step reports its changes. The given graph is preferred: the layers of a rewritten one are harder to recognize.
"""

from typing import Any

import onnx
from onnx import helper, inliner
from onnx2torch.node_converters.registry import get_converter

from images.torch.convert.folding import Constants, fold_constants, read_constants
from images.torch.convert.padding import make_padding_explicit
from images.torch.convert.sizes import infer_shapes
from images.torch.convert.unrolling import unroll_model

DOMAIN = "crossquant"  # of our own operator: a linear layer for inputs of any rank


def rewrite_model(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Return a model that computes the same, and the changes; none if no step applies."""
    notes: list[str] = []
    for step in (decompose_operators, unroll_loops, fold_operators, write_padding, join_linear_layers):
        model, changes = step(infer_shapes(model))
        notes += changes
    return model, notes


def types_without_converter(model: onnx.ModelProto) -> list[str]:
    """Return the op types without a converter, sorted."""
    version = {item.domain: item.version for item in model.opset_import}
    missing = set()
    for node in model.graph.node:
        try:
            get_converter(node.op_type, version[node.domain], node.domain)
        except NotImplementedError:
            missing.add(node.op_type)
    return sorted(missing)


def decompose_operators(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Replace operators without a converter by ONNX's own definition of them."""
    decomposable = [kind for kind in types_without_converter(model) if has_definition(model, kind)]
    if not decomposable:
        return model, []
    inlined = inliner.inline_selected_functions(
        model, [("", kind) for kind in decomposable], inline_schema_functions=True
    )
    name_nodes(inlined.graph)
    return inlined, [f"{kind} by what ONNX defines it by" for kind in decomposable]


def has_definition(model: onnx.ModelProto, kind: str) -> bool:
    """Does ONNX define the operator by other operators?"""
    version = next(item.version for item in model.opset_import if item.domain == "")
    if not onnx.defs.has(kind, version):
        return False
    schema: Any = onnx.defs.get_schema(kind, version)  # ONNX's annotations lack both properties
    return bool(schema.has_function or schema.has_context_dependent_function)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Name the nodes that inlining leaves without a name, since layers are identified by name."""
    taken = {node.name for node in graph.node}
    for number, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{number}"
        while not node.name and name in taken:
            name += "_"
        node.name = name
        taken.add(name)


def unroll_loops(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Unroll the loops with a known number of steps."""
    model, names = unroll_model(model)
    return model, [f"the loop {name} step by step" for name in names]


def fold_operators(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Fold constants."""
    count = fold_constants(model)
    return model, [f"{count} operators on constants by their values"] if count else []


def write_padding(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Write `auto_pad` as explicit padding."""
    return model, [f"the padding of {name} in numbers" for name in make_padding_explicit(model.graph)]


def join_linear_layers(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Join a product with constant weights and the following addition into the one layer that PyTorch quantizes."""
    constants_by_name, notes = read_constants(model.graph), []
    for node in [node for node in model.graph.node if is_linear(node, constants_by_name)]:
        bias = find_bias(node, model.graph, constants_by_name)
        node.op_type, node.domain = "Linear", DOMAIN
        notes.append(f"{node.name} and {bias.name} as a linear layer" if bias else f"{node.name} as a linear layer")
        if bias is not None:
            node.input.append(next(name for name in bias.input if name in constants_by_name))
            node.output[0] = bias.output[0]
            model.graph.node.remove(bias)
    if notes:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model, notes


def is_linear(node: onnx.NodeProto, constants_by_name: Constants) -> bool:
    """Is the node a product of data with a constant matrix?"""
    known_weight = (
        node.op_type == "MatMul" and node.input[0] not in constants_by_name and node.input[1] in constants_by_name
    )
    return known_weight and constants_by_name[node.input[1]].ndim == 2


def find_bias(product: onnx.NodeProto, graph: onnx.GraphProto, constants_by_name: Constants) -> onnx.NodeProto | None:
    """Return the Add of one constant per output, if it is all that reads the product."""
    product_output = product.output[0]
    readers = [node for node in graph.node if product_output in node.input]
    if len(readers) != 1 or readers[0].op_type != "Add" or product_output in {item.name for item in graph.output}:
        return None
    bias_shape = constants_by_name[product.input[1]].shape[1:]
    fits = [
        name for name in readers[0].input if name in constants_by_name and constants_by_name[name].shape == bias_shape
    ]
    return readers[0] if fits else None
