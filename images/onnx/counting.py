"""How many of the operators that compute are quantized: a quantizer may leave them in float without a word."""

import json
from pathlib import Path

import onnx

from shared.guards import check_quantized

FILE = "quantized.json"
COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
INTEGER = ("ConvInteger", "MatMulInteger")


def check(model: onnx.ModelProto, out: Path) -> None:
    """Write `quantized.json`. Unsupported where fewer than half of the operators are quantized."""
    quantized, total = count(model)
    check_quantized("ONNX Runtime", quantized, total)
    record(quantized, total, out)


def record(quantized: int, total: int, out: Path) -> None:
    (out / FILE).write_text(json.dumps({"quantized": quantized, "operators": total}))


def count(model: onnx.ModelProto) -> tuple[int, int]:
    """(quantized, all) operators that compute.

    Quantized are those on integers, as dynamic quantization writes them, and those that read both operands from
    DequantizeLinear, which ONNX Runtime joins to one on integers when it loads the file.
    """
    restored = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    computing = [node for node in model.graph.node if node.op_type in COMPUTING]
    integer = [node for node in model.graph.node if node.op_type in INTEGER]
    quantized = [node for node in computing if set(node.input[:2]) <= restored]
    return len(quantized) + len(integer), len(computing) + len(integer)
