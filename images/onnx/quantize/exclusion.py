"""The layers of a graph by name, and the check of what a recipe excludes."""

from collections.abc import Sequence

import onnx

from shared.quantization.layer_names import check


def excluded(model: onnx.ModelProto, names: Sequence[str], op_types: Sequence[str]) -> list[str]:
    """The names of all nodes to leave in float, in the graph's order.

    CrossquantError for a name that the graph doesn't have, and for an op type that neither it nor ONNX has: a typing
    error would quantize all in silence. A preset may exclude what a model happens not to have.
    """
    nodes = model.graph.node
    check("exclude", "layer", names, [node.name for node in nodes])
    unheard = [name for name in op_types if not onnx.defs.has(name)]
    check("exclude_types", "op type", unheard, sorted({node.op_type for node in nodes}))
    return [node.name for node in nodes if node.name in names or node.op_type in op_types]
