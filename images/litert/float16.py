"""Weights stored as float16, in half the space; all is computed in float32."""

from pathlib import Path

import tensorflow as tf

from images.litert import coverage
from images.litert.converter import convert
from images.litert.source import Source


def run(model: Path, out: Path) -> None:
    """Write `model.tflite` and `quantized.json`."""
    convert(model, out, settings)
    coverage.check(out, coverage.HALF, weights_only=True)


def settings(converter: tf.lite.TFLiteConverter, source: Source) -> None:  # noqa: ARG001
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
