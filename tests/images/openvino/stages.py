"""Runs the stages with the defaults of stages.toml, and reads the folders of the test's models."""

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


def run_accuracy_aware(models: Path, name: str, out: Path, **recipe: object) -> Path:
    sets = models / "calibration", models / "holdout"
    accuracy_aware.run(models / name, *sets, out, **{**defaults("accuracy_aware"), **recipe})
    return out


def compressed(model: Path, out: Path, **recipe: object) -> Path:
    weights.run(model, out, **{**defaults("weights"), **recipe})
    return out


def read_inputs(folder: Path) -> tuple[np.ndarray, ...]:
    return tuple(np.load(path) for path in sorted(folder.glob("input_*.npy")))


def read_outputs(folder: Path) -> tuple[np.ndarray, ...]:
    """Read ONNX Runtime's answers."""
    return tuple(np.load(path) for path in sorted(folder.glob("output_*.npy")))


def accuracy(variant: Path, models: Path) -> float:
    """Return the accuracy of the variant on images that the stages don't see."""
    images, labels = np.load(models / "test" / "input_0.npy"), np.load(models / "test" / "labels.npy")
    [answers] = load(variant, 1)((images.astype(np.float32),))
    return float((answers.argmax(axis=1) == labels).mean())
