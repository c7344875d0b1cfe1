"""Static quantization after training, by ONNX Runtime, as a QDQ graph."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from images.onnx.session import FILE
from shared.guards import check_quantized
from shared.progress import report

TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
CALIBRATORS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
COMPUTING = ("Conv", "ConvTranspose", "Gemm", "MatMul")
BATCH = 100


def run(
    model: Path,
    calibration: Path,
    out: Path,
    *,
    activation: str,
    weight: str,
    per_channel: bool,
    calibrate: str,
) -> None:
    """Write `model.onnx` and `quantized.json`. Unsupported where ONNX Runtime leaves operators in float."""
    float_file = model / FILE
    quantize_static(
        float_file,
        out / FILE,
        Reader(calibration / "images.npy", input_name(float_file)),
        quant_format=QuantFormat.QDQ,
        activation_type=TYPES[activation],
        weight_type=TYPES[weight],
        per_channel=per_channel,
        calibrate_method=CALIBRATORS[calibrate],
    )
    quantized, total = count(onnx.load(out / FILE))
    check_quantized("ONNX Runtime", quantized, total)
    (out / "quantized.json").write_text(json.dumps({"quantized": quantized, "operators": total}))


class Reader(CalibrationDataReader):
    """The calibration images in their one order, in batches. A reader is used up by its first pass: make one a run."""

    def __init__(self, images: Path, name: str) -> None:
        self.images = np.load(images, mmap_mode="r")
        self.name = name
        self.batches = self._batches()

    def _batches(self) -> Iterator[dict[str, np.ndarray]]:
        size = even_batch(len(self.images))
        for start in range(0, len(self.images), size):
            batch = np.ascontiguousarray(self.images[start : start + size])
            yield {self.name: batch}
            report(start + len(batch), len(self.images))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def even_batch(images: int) -> int:
    """The largest batch, up to BATCH, that leaves no short one: Entropy and Percentile stack what they are given."""
    return max(size for size in range(1, min(BATCH, images) + 1) if images % size == 0)


def input_name(path: Path) -> str:
    return onnx.load(path).graph.input[0].name


def count(model: onnx.ModelProto) -> tuple[int, int]:
    """(quantized, all) operators that compute: quantized are those that read both operands from DequantizeLinear."""
    restored = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    computing = [node for node in model.graph.node if node.op_type in COMPUTING]
    quantized = [node for node in computing if set(node.input[:2]) <= restored]
    return len(quantized), len(computing)
