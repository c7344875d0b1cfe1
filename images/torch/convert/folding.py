"""Constant folding with ONNX's reference evaluator: this image has no ONNX Runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

MAX_VALUES = 1 << 20  # values per folded node: an Expand of one number must not fill the file
Constants = Mapping[str, NDArray[Any]]


def read_constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """Return the graph's constants by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def fold_constants(model: onnx.ModelProto) -> int:
    """Replace nodes of constants by their values in place; return the number of nodes removed."""
    constants, kept = read_constants(model.graph), []
    for node in model.graph.node:
        values = evaluate_node(node, constants, model)
        if values is None:
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
            continue
        for name, value in zip(node.output, values, strict=True):
            constants[name] = value
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    removed = len(model.graph.node) - len(kept)
    if removed:
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return removed


def evaluate_node(node: onnx.NodeProto, constants: Constants, model: onnx.ModelProto) -> list[NDArray[Any]] | None:
    """Return the node's outputs if all its inputs are constants; None otherwise, or if they would be large."""
    input_names = list(dict.fromkeys(name for name in node.input if name))
    graph_outputs = {item.name for item in model.graph.output}
    if any(name not in constants for name in input_names) or not graph_outputs.isdisjoint(node.output):
        return None
    if "Random" in node.op_type or node.domain or any(item.type == item.GRAPH for item in node.attribute):
        return None
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(constants[name].dtype), None)
        for name in input_names
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    alone = helper.make_model(helper.make_graph([node], "alone", inputs, outputs), opset_imports=model.opset_import)
    values: Any  # ONNX declares a dict too, which only a sequence of maps is
    try:
        values = ReferenceEvaluator(alone).run(None, {name: constants[name] for name in input_names})
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        return None  # it has no such operator: the node stays
    return values if sum(np.size(value) for value in values) <= MAX_VALUES else None
