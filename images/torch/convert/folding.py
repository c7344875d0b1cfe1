"""Nodes of constants alone by their values, computed by ONNX's own reference: this image has no ONNX Runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

LARGEST = 1 << 20  # values that folding may make: an Expand of one number must not fill the file
Constants = Mapping[str, NDArray[Any]]


def constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def fold(model: onnx.ModelProto) -> int:
    """Rewrite `model` in place; the number of nodes that are gone."""
    known, kept = constants(model.graph), []
    for node in model.graph.node:
        values = computed(node, known, model)
        if values is None:
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
            continue
        for name, value in zip(node.output, values, strict=True):
            known[name] = value
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    gone = len(model.graph.node) - len(kept)
    if gone:
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return gone


def computed(node: onnx.NodeProto, known: Constants, model: onnx.ModelProto) -> list[NDArray[Any]] | None:
    """What a node gives whose inputs are all constants; None for any other, and where it would be large."""
    given = list(dict.fromkeys(name for name in node.input if name))
    made = {item.name for item in model.graph.output}
    if any(name not in known for name in given) or not made.isdisjoint(node.output):
        return None
    if "Random" in node.op_type or node.domain or any(item.type == item.GRAPH for item in node.attribute):
        return None
    takes = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(known[name].dtype), None) for name in given
    ]
    gives = [onnx.ValueInfoProto(name=name) for name in node.output]
    alone = helper.make_model(helper.make_graph([node], "alone", takes, gives), opset_imports=model.opset_import)
    values: Any  # ONNX declares a dict too, which only a sequence of maps is
    try:
        values = ReferenceEvaluator(alone).run(None, {name: known[name] for name in given})
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        return None  # it has no such operator: the node stays
    return values if sum(np.size(value) for value in values) <= LARGEST else None
