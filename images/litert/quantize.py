"""Full-integer quantization after training, by TensorFlow's converter."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from images.litert import coverage
from images.litert.converter import ENDPOINT, convert
from images.litert.source import Source
from shared.data import calibration_batches, samples
from shared.data.samples import Array
from shared.runner.progress import report

BATCH = 100  # samples read at a time; the converter looks at them one by one
OPERATORS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}
TYPES = {"float32": tf.float32, "int8": tf.int8, "uint8": tf.uint8, "int16": tf.int16}


def run(
    model: Path, calibration: Path, out: Path, *, activation: str, per_channel: bool, input_type: str, output_type: str
) -> None:
    """Write `model.tflite` and `quantized.json`. Weights are int8; ranges are the extremes over the calibration set.

    Unsupported where an operator has no integer form.
    """

    def settings(converter: tf.lite.TFLiteConverter, source: Source) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: representative(calibration, types(source))
        converter.target_spec.supported_ops = [OPERATORS[activation]]
        converter._experimental_disable_per_channel = not per_channel  # it has no public name
        converter.inference_input_type, converter.inference_output_type = TYPES[input_type], TYPES[output_type]

    calibration_batches.check(calibration)
    convert(model, out, settings)
    coverage.check(out)


def types(source: Source) -> list[type[np.generic]]:
    return [spec.dtype.as_numpy_dtype for spec in source.inputs]


def representative(calibration: Path, kinds: Sequence[type[np.generic]]) -> Iterator[tuple[str, dict[str, Array]]]:
    """One sample after the other, by the names that `converter.export` gives the inputs, in their types."""
    total, done = samples.count(calibration), 0
    for batch in samples.batches(calibration, samples.fitting(calibration, BATCH)):
        for number in range(len(batch[0])):
            one = (array[number : number + 1].astype(kind) for array, kind in zip(batch, kinds, strict=True))
            yield ENDPOINT, {f"input_{place}": array for place, array in enumerate(one)}
        done += len(batch[0])
        report(done, total)
