"""Dynamic quantization by ONNX Runtime: weights ahead of time, activation ranges per image, without calibration."""

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import quantize_dynamic

from images.onnx.graph import unique_names
from images.onnx.quantize import coverage
from images.onnx.quantize.exclusion import select_excluded
from images.onnx.quantize.recipe import TYPES
from images.onnx.session import FILE, check_loads
from shared.quantization import already
from shared.refusals import refusals

REFUSED = "ONNX Runtime's dynamic quantizer refuses this model"


def run(
    model: Path, out: Path, *, weight: str, per_channel: bool, exclude: list[str], exclude_types: list[str]
) -> None:
    """Write `model.onnx` and `quantized.json`. Activations are uint8, the only type that ONNX Runtime supports here.

    Unsupported if ONNX Runtime leaves most operators in float, or can't run the file that it wrote.
    """
    already.refuse(model)
    source = onnx.load(model / FILE)
    marked, mark = unique_names.mark_names(source)
    excluded_nodes = unique_names.marked_node_names(source, marked, select_excluded(source, exclude, exclude_types))
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        copy = Path(scratch) / FILE  # ONNX Runtime writes temporary files beside its input
        onnx.save(marked, copy)
        with refusals(REFUSED, "onnxruntime"):
            quantize_dynamic(
                copy,
                out / FILE,
                weight_type=TYPES[weight],
                per_channel=per_channel,
                nodes_to_exclude=[*excluded_nodes, *map(gemm_product_name, excluded_nodes)],
            )
    quantized = onnx.load(out / FILE)
    unique_names.remove_marks(quantized, mark)
    onnx.save(quantized, out / FILE)
    check_loads(out / FILE)
    coverage.check_coverage(onnx.load(out / FILE), out)


def gemm_product_name(gemm: str) -> str:
    """Return the name of the MatMul that ONNX Runtime makes of a Gemm before it looks at what is excluded."""
    return gemm + "_MatMul"
