"""Weights stored as float16, in half the space; everything is computed in float32."""

from pathlib import Path

import tensorflow as tf

from images.litert import quantized_operators
from images.litert.keras_source import KerasSource
from images.litert.tflite_converter import convert
from shared.quantization import already


def run(model: Path, out: Path) -> None:
    """Write `model.tflite` and `quantized.json`. Unsupported where most weights stay in float32."""
    already.refuse(model)
    convert(model, out, configure)
    quantized_operators.write_count(out, quantized_operators.FLOAT16, weights_only=True)


def configure(converter: tf.lite.TFLiteConverter, source: KerasSource) -> None:  # noqa: ARG001
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
