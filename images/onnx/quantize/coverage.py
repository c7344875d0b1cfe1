"""Counts the quantized operators: a quantizer may leave operators in float without a message."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx

from shared.quantization.guards import check_quantized

FILE = "quantized.json"
COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RECURRENT = ("LSTM", "GRU", "RNN")
INTEGER_PRODUCTS = ("ConvInteger", "MatMulInteger")
RECURRENT_INTEGER = ("DynamicQuantizeLSTM",)


def check_coverage(model: onnx.ModelProto, out: Path) -> None:
    """Write `quantized.json`. Unsupported if fewer than half of the operators are quantized."""
    quantized, total = count_quantized(model)
    check_quantized("ONNX Runtime", quantized, total, left=describe_nodes_in_float(model))
    write_counts(quantized, total, out)


def write_counts(quantized: int, total: int, out: Path) -> None:
    """Write the counts to `quantized.json`."""
    (out / FILE).write_text(json.dumps({"quantized": quantized, "operators": total}))


def count_quantized(model: onnx.ModelProto) -> tuple[int, int]:
    """Return the numbers of (quantized, all) convolutions and matrix products.

    An operator is quantized if it works on integers, as in dynamic quantization, or if it reads both operands from
    DequantizeLinear, which ONNX Runtime fuses into an integer operator when it loads the file.
    """
    sizes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    dequantized = dequantized_tensors(model)
    quantized = sum(count_products(node, sizes) for node in model.graph.node if is_integer(node, dequantized))
    return quantized, quantized + sum(count_products(node, sizes) for node in nodes_in_float(model))


def count_products(node: onnx.NodeProto, sizes: Mapping[str, Sequence[int]]) -> int:
    """Return the number of products in a node: a recurrent layer has two per direction, with its inputs and with its
    state.
    """
    recurrent = node.op_type in (*RECURRENT, *RECURRENT_INTEGER)
    return 2 * int(next(iter(sizes.get(node.input[1], ())), 1)) if recurrent else 1


def dequantized_tensors(model: onnx.ModelProto) -> set[str]:
    """Return the names of the outputs of DequantizeLinear."""
    return {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}


def is_integer(node: onnx.NodeProto, dequantized: set[str]) -> bool:
    """Does the node compute on integers, possibly after fusion with DequantizeLinear?"""
    fused = node.op_type in COMPUTING and set(node.input[:2]) <= dequantized
    return fused or node.op_type in (*INTEGER_PRODUCTS, *RECURRENT_INTEGER)


def nodes_in_float(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes that compute in float, those in subgraphs too."""
    dequantized = dequantized_tensors(model)
    computing = [node for node in iterate_nodes(model.graph) if node.op_type in (*COMPUTING, *RECURRENT)]
    return [node for node in computing if not is_integer(node, dequantized)]


def iterate_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield all nodes, those in the bodies of loops and branches too, which no quantizer changes."""
    for node in graph.node:
        yield node
        for item in node.attribute:
            if item.type == onnx.AttributeProto.GRAPH:
                yield from iterate_nodes(item.g)


def describe_nodes_in_float(model: onnx.ModelProto) -> list[str]:
    """Describe the layers that compute in float, as "name (operator)"."""
    return [f"{node.name} ({node.op_type})" for node in nodes_in_float(model)]
