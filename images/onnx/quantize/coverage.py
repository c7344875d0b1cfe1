"""How many of the operators that compute are quantized: a quantizer may leave them in float without a word."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx

from shared.quantization.guards import check_quantized

FILE = "quantized.json"
COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RECURRENT = ("LSTM", "GRU", "RNN")
INTEGER = ("ConvInteger", "MatMulInteger")
RECURRENT_INTEGER = ("DynamicQuantizeLSTM",)


def check(model: onnx.ModelProto, out: Path) -> None:
    """Write `quantized.json`. Unsupported where fewer than half of the operators are quantized."""
    quantized, total = count(model)
    check_quantized("ONNX Runtime", quantized, total, left=left_in_float(model))
    record(quantized, total, out)


def record(quantized: int, total: int, out: Path) -> None:
    (out / FILE).write_text(json.dumps({"quantized": quantized, "operators": total}))


def count(model: onnx.ModelProto) -> tuple[int, int]:
    """(quantized, all) operators that compute.

    Quantized are those on integers, as dynamic quantization writes them, and those that read both operands from
    DequantizeLinear, which ONNX Runtime joins to one on integers when it loads the file.
    """
    sizes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    dequantized = restored(model)
    integer = sum(products(node, sizes) for node in model.graph.node if is_integer(node, dequantized))
    return integer, integer + sum(products(node, sizes) for node in in_float(model))


def products(node: onnx.NodeProto, sizes: Mapping[str, Sequence[int]]) -> int:
    """A recurrent layer has one with its inputs and one with its state, in each direction."""
    recurrent = node.op_type in (*RECURRENT, *RECURRENT_INTEGER)
    return 2 * int(next(iter(sizes.get(node.input[1], ())), 1)) if recurrent else 1


def restored(model: onnx.ModelProto) -> set[str]:
    return {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}


def is_integer(node: onnx.NodeProto, dequantized: set[str]) -> bool:
    joined = node.op_type in COMPUTING and set(node.input[:2]) <= dequantized
    return joined or node.op_type in (*INTEGER, *RECURRENT_INTEGER)


def in_float(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    dequantized = restored(model)
    computing = [node for node in every(model.graph) if node.op_type in (*COMPUTING, *RECURRENT)]
    return [node for node in computing if not is_integer(node, dequantized)]


def every(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes, those in the bodies of loops and branches too, which no quantizer looks into."""
    for node in graph.node:
        yield node
        for item in node.attribute:
            if item.type == onnx.AttributeProto.GRAPH:
                yield from every(item.g)


def left_in_float(model: onnx.ModelProto) -> list[str]:
    """The layers that compute in float, with what they are."""
    return [f"{node.name} ({node.op_type})" for node in in_float(model)]
