"""The ONNX Runtime part by hand: fold, three recipes, predict, time.

`python bare_onnx.py DATASET OUT`, in the environment of the onnx image, after bare_keras.py.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Floats = NDArray[np.float32]
Model = Callable[[Floats], Floats]

THREADS, BATCH, CALIBRATION_BATCH = 2, 250, 100
ROUNDS, CALLS, WARM_UP, MANY = 20, 20, 20, 64
INT8, UINT8 = QuantType.QInt8, QuantType.QUInt8
RECIPES = {
    "int8": {"activation_type": INT8, "weight_type": INT8},
    "uint8": {"activation_type": UINT8, "weight_type": UINT8},
    "u8s8": {"activation_type": UINT8, "weight_type": INT8, "per_channel": True},
}
VARIANTS = ("fp32", *RECIPES)


class Reader(CalibrationDataReader):
    def __init__(self, images: Floats) -> None:
        starts = range(0, len(images), CALIBRATION_BATCH)
        self.batches = iter([{"input_0": images[i : i + CALIBRATION_BATCH]} for i in starts])

    def get_next(self) -> dict[str, Floats] | None:
        return next(self.batches, None)


def quantize(out: Path) -> None:
    quant_pre_process(out / "exported.onnx", out / "onnx.fp32.onnx", skip_symbolic_shape=False)
    images = np.load(out / "calibration.npy")
    for name, settings in RECIPES.items():
        target = out / f"onnx.{name}.onnx"
        quantize_static(out / "onnx.fp32.onnx", target, Reader(images), quant_format=QuantFormat.QDQ, **settings)


def load(path: Path, threads: int) -> Model:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"input_0": images})[0]


def predict(dataset: Path, out: Path) -> None:
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")
    for name in VARIANTS:
        model = load(out / f"onnx.{name}.onnx", THREADS)
        answers = [model(images[i : i + BATCH].astype(np.float32)) for i in range(0, len(images), BATCH)]
        np.save(out / f"predictions.onnx.{name}.npy", np.concatenate(answers))


def latency(dataset: Path, out: Path) -> None:
    models = {name: load(out / f"onnx.{name}.onnx", 1) for name in VARIANTS}
    images = np.load(dataset / "x_test_0.npy", mmap_mode="r")[:MANY].astype(np.float32)
    samples: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in models}
    for model in models.values():
        timed(model, images[:1], WARM_UP)
        timed(model, images, 2)
    for _ in range(ROUNDS):
        for name, model in models.items():
            samples[name].append((timed(model, images[:1], CALLS), timed(model, images, 1)))
    (out / "latency.onnx.json").write_text(json.dumps(samples))


def timed(model: Model, images: Floats, calls: int) -> list[float]:
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(images)
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    dataset, out = map(Path, sys.argv[1:])
    quantize(out)
    predict(dataset, out)
    latency(dataset, out)


if __name__ == "__main__":
    main()
