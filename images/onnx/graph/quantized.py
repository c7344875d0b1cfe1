"""Finds out whether a graph is quantized before any recipe."""

import onnx

from images.onnx.graph.normalize import iterate_graphs
from shared.quantization import already


def quantized_operators(model: onnx.ModelProto) -> list[str]:
    """Return the op types of the model that only a quantized one has, those in subgraphs and functions too."""
    nodes = [node for graph in iterate_graphs(model.graph) for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    return already.find_operators(node.op_type for node in nodes)
