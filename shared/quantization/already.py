"""Models that are quantized before any recipe: trained for 8 bits, or the work of somebody's quantizer."""

import json
from collections.abc import Iterable
from pathlib import Path

from shared.errors import Unsupported

TOLERANCE = 0.05  # of the largest answer: where two frameworks round to 8 bits, they differ by steps of that
NAMED = 3  # operators in a message
FILE = "quantized_already.json"  # beside a model: what says so, operators of an ONNX file or modes of Keras
PREFIXES = ("QLinear", "QOrdered", "QGemm", "QAttention", "QEmbed", "QMoE", "DynamicQuantize")
OPERATORS = (
    *("QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"),
    *("MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "GatherBlockQuantized", "QuantizeBFP", "DequantizeBFP"),
    *("QuantizeWithOrder", "DequantizeWithOrder"),
)  # of ONNX, and of ONNX Runtime's own domain


def find_operators(op_types: Iterable[str]) -> list[str]:
    """Return the op types of a quantized model among these, sorted."""
    return sorted({name for name in op_types if name in OPERATORS or name.startswith(PREFIXES)})


def write(signs: list[str], folder: Path) -> None:
    """Write what says that the model in `folder` is quantized beside it, if anything does."""
    if signs:
        (folder / FILE).write_text(json.dumps(signs))


def read(folder: Path) -> list[str]:
    """Return what says that the model in `folder` is quantized; nothing where it isn't."""
    return json.loads((folder / FILE).read_text()) if is_quantized(folder) else []


def is_quantized(folder: Path) -> bool:
    """Is the model in `folder` quantized already?"""
    return (folder / FILE).exists()


def refuse(folder: Path) -> None:
    """Raise Unsupported if the model in `folder` is quantized: a second rounding would go unseen."""
    if is_quantized(folder):
        raise Unsupported(
            f"the model is quantized already ({describe(read(folder))}): give the float model to quantize it"
        )


def describe(signs: list[str]) -> str:
    """Return the first of them, and how many more there are."""
    more = f" and {len(signs) - NAMED} more" if len(signs) > NAMED else ""
    return ", ".join(signs[:NAMED]) + more
