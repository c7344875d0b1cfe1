"""The stages with the defaults of stages.toml, and what a folder of the test's models holds."""

from pathlib import Path
from typing import Any

import numpy as np

from images.openvino import accuracy_aware, quantize, weights
from images.openvino.session import load
from tests.images import declared


def defaults(run: str) -> dict[str, Any]:
    return declared.defaults("openvino", run)


def quantized(model: Path, calibration: Path, out: Path, **recipe: object) -> Path:
    quantize.run(model, calibration, out, **{**defaults("quantize"), **recipe})
    return out


def recovered(models: Path, name: str, out: Path, **recipe: object) -> Path:
    sets = models / "calibration", models / "holdout"
    accuracy_aware.run(models / name, *sets, out, **{**defaults("accuracy_aware"), **recipe})
    return out


def compressed(model: Path, out: Path, **recipe: object) -> Path:
    weights.run(model, out, **{**defaults("weights"), **recipe})
    return out


def asked(folder: Path) -> tuple[np.ndarray, ...]:
    return tuple(np.load(path) for path in sorted(folder.glob("input_*.npy")))


def answered(folder: Path) -> tuple[np.ndarray, ...]:
    """By ONNX Runtime."""
    return tuple(np.load(path) for path in sorted(folder.glob("output_*.npy")))


def accuracy(variant: Path, models: Path) -> float:
    """On images of neither set that the stages see."""
    images, labels = np.load(models / "test" / "input_0.npy"), np.load(models / "test" / "labels.npy")
    [answers] = load(variant, 1)((images.astype(np.float32),))
    return float((answers.argmax(axis=1) == labels).mean())
