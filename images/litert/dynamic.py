"""Dynamic-range quantization: weights in int8, activations quantized as the model runs; no calibration."""

from pathlib import Path

import tensorflow as tf

from images.litert import quantized_operators
from images.litert.keras_source import KerasSource
from images.litert.tflite_converter import convert
from shared.quantization import already


def run(model: Path, out: Path) -> None:
    """Write `model.tflite` and `quantized.json`.

    Unsupported where the converter leaves most weights in float, as it does with fewer than 1024 values.
    """
    already.refuse(model)
    convert(model, out, configure)
    quantized_operators.write_count(out, weights_only=True)


def configure(converter: tf.lite.TFLiteConverter, source: KerasSource) -> None:  # noqa: ARG001
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
