"""Selects the layers that a recipe leaves in float."""

from collections.abc import Sequence

import onnx

from shared.quantization.layer_names import check


def select_excluded(model: onnx.ModelProto, names: Sequence[str], op_types: Sequence[str]) -> list[str]:
    """Return the names of all nodes to leave in float, in the graph's order.

    CrossquantError for a name that the graph doesn't have, and for an op type that neither the graph nor ONNX has: a
    typing error would quantize everything without a message. An op type that only this model lacks is allowed, for
    presets.
    """
    nodes = model.graph.node
    check("exclude", "layer", names, [node.name for node in nodes])
    unknown_types = [name for name in op_types if not onnx.defs.has(name)]
    check("exclude_types", "op type", unknown_types, sorted({node.op_type for node in nodes}))
    return [node.name for node in nodes if node.name in names or node.op_type in op_types]
