"""Dynamic quantization by ONNX Runtime: weights beforehand, the ranges of the rest image by image; no calibration."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import quantize_dynamic

from images.onnx.graph import unique_names
from images.onnx.quantize import coverage
from images.onnx.quantize.exclusion import excluded
from images.onnx.quantize.recipe import TYPES
from images.onnx.session import FILE, check_loads
from shared.refusals import refusals

REFUSED = "ONNX Runtime's dynamic quantizer refuses this model"


def run(
    model: Path, out: Path, *, weight: str, per_channel: bool, exclude: list[str], exclude_types: list[str]
) -> None:
    """Write `model.onnx` and `quantized.json`; the activations are uint8, the one type that ONNX Runtime takes here.

    Unsupported where it leaves operators in float, or can't run what it made.
    """
    source = onnx.load(model / FILE)
    marked, mark = unique_names.marked(source)
    left_out = unique_names.marked_nodes(source, marked, excluded(source, exclude, exclude_types))
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        copy = Path(scratch) / FILE  # ONNX Runtime writes beside it
        onnx.save(marked, copy)
        with refusals(REFUSED, "onnxruntime"):
            quantize_dynamic(
                copy,
                out / FILE,
                weight_type=TYPES[weight],
                per_channel=per_channel,
                nodes_to_exclude=[*left_out, *map(split, left_out)],
            )
    quantized = onnx.load(out / FILE)
    unique_names.unmark(quantized, mark)
    onnx.save(quantized, out / FILE)
    check_loads(out / FILE)
    coverage.check(onnx.load(out / FILE), out)


def split(gemm: str) -> str:
    """What ONNX Runtime calls the product in a Gemm, which it takes apart before it looks at what is excluded."""
    return gemm + "_MatMul"
