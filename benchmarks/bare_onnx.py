"""The ONNX Runtime part by hand: fold, quantize by each recipe, predict.

`python bare_onnx.py WORK DATASET OUT`, in the environment of the onnx image, after bare_keras.py. With WORK alone it
only looks whether it can make every recipe.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Floats = NDArray[np.float32]
Recipe = dict[str, Any]

CALIBRATION_BATCH = 100
TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}
METHODS = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
USED = {
    *("activation", "weight", "per_channel", "reduce_range"),
    *("calibrate", "percentile", "exclude_types"),
}
LEFT_OUT = {
    "symmetric_activation": False,
    "symmetric_weight": False,
    "outliers": 0.0,
    "exclude": [],
    "preprocess": True,
}


def check(name: str, recipe: Recipe) -> None:
    """End with one line where this script would make another file than the recipe asks for."""
    allowed = {"activation": TYPES, "weight": TYPES, "calibrate": METHODS}
    for key, value in recipe.items():
        if (key not in USED and LEFT_OUT.get(key, ...) != value) or value not in allowed.get(key, [value]):
            sys.exit(f"onnx.{name}: bare_onnx.py can't do {key}: {value}")


class Reader(CalibrationDataReader):
    def __init__(self, images: Floats) -> None:
        starts = range(0, len(images), CALIBRATION_BATCH)
        self.batches = iter([{"input_0": images[i : i + CALIBRATION_BATCH]} for i in starts])

    def get_next(self) -> dict[str, Floats] | None:
        return next(self.batches, None)


def quantize(source: Path, target: Path, recipe: Recipe, images: Floats) -> None:
    nodes = onnx.load(source).graph.node
    method = METHODS[recipe["calibrate"]]
    percentile = {"CalibPercentile": recipe["percentile"]} if method == CalibrationMethod.Percentile else {}
    quantize_static(
        source,
        target,
        Reader(images),
        quant_format=QuantFormat.QDQ,
        activation_type=TYPES[recipe["activation"]],
        weight_type=TYPES[recipe["weight"]],
        per_channel=recipe["per_channel"],
        reduce_range=recipe["reduce_range"],
        calibrate_method=method,
        nodes_to_exclude=[node.name for node in nodes if node.op_type in recipe["exclude_types"]],
        extra_options=percentile,
    )


def predict(path: Path, dataset: Path, work: dict[str, Any], target: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = work["threads"], 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images, batch = np.load(dataset / "x_test_0.npy", mmap_mode="r"), work["batch_size"]
    answers = [
        session.run(None, {"input_0": images[start : start + batch].astype(np.float32)})[0]
        for start in range(0, len(images), batch)
    ]
    np.save(target, np.concatenate(answers))


def main(work_file: str, *folders: str) -> None:
    work = json.loads(Path(work_file).read_text())
    for name, recipe in work["recipes"]["onnx"].items():
        check(name, recipe)
    if not folders:
        return
    dataset, out = map(Path, folders)
    quant_pre_process(out / "exported.onnx", out / "onnx.fp32.onnx", skip_symbolic_shape=False)
    images = np.load(out / "calibration.npy")
    for name, recipe in work["recipes"]["onnx"].items():
        quantize(out / "onnx.fp32.onnx", out / f"onnx.{name}.onnx", recipe, images)
    for name in ("fp32", *work["recipes"]["onnx"]):
        predict(out / f"onnx.{name}.onnx", dataset, work, out / f"predictions.onnx.{name}.npy")


if __name__ == "__main__":
    main(*sys.argv[1:])
