"""Weights in int8, the rest quantized as it comes, sample by sample; no calibration."""

from pathlib import Path

import tensorflow as tf

from images.litert import coverage
from images.litert.converter import convert
from images.litert.source import Source


def run(model: Path, out: Path) -> None:
    """Write `model.tflite` and `quantized.json`. Unsupported where the converter leaves most weights in float, as it
    does with those of fewer than 1024 values.
    """
    convert(model, out, settings)
    coverage.check(out, weights_only=True)


def settings(converter: tf.lite.TFLiteConverter, source: Source) -> None:  # noqa: ARG001
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
