"""Full-integer post-training quantization, with TensorFlow's converter."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from images.litert import quantized_operators
from images.litert.keras_source import KerasSource
from images.litert.tflite_converter import ENDPOINT, convert
from shared.data import calibration_batches, samples
from shared.data.samples import Array
from shared.quantization import already
from shared.runner.progress import report

BATCH = 100  # samples read at a time; the converter takes them one by one
OPERATOR_SETS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}
TYPES = {"float32": tf.float32, "int8": tf.int8, "uint8": tf.uint8, "int16": tf.int16}


def run(
    model: Path, calibration: Path, out: Path, *, activation: str, per_channel: bool, input_type: str, output_type: str
) -> None:
    """Write `model.tflite` and `quantized.json`. Weights are int8; ranges are minimum and maximum over `calibration`.

    Unsupported where an operator has no integer form; CrossquantError for a calibration set that is empty or has NaN.
    """

    def configure(converter: tf.lite.TFLiteConverter, source: KerasSource) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iterate_samples(calibration, input_types(source))
        converter.target_spec.supported_ops = [OPERATOR_SETS[activation]]
        converter._experimental_disable_per_channel = not per_channel  # it has no public name
        converter.inference_input_type, converter.inference_output_type = TYPES[input_type], TYPES[output_type]

    already.refuse(model)
    calibration_batches.check(calibration)
    convert(model, out, configure)
    quantized_operators.write_count(out)


def input_types(source: KerasSource) -> list[type[np.generic]]:
    return [spec.dtype.as_numpy_dtype for spec in source.inputs]


def iterate_samples(calibration: Path, types: Sequence[type[np.generic]]) -> Iterator[tuple[str, dict[str, Array]]]:
    """The converter's representative data set: endpoint and inputs (1, …) of each sample, by name, in these types."""
    total, done = samples.count(calibration), 0
    for batch in samples.batches(calibration, samples.fitting(calibration, BATCH)):
        for number in range(len(batch[0])):
            sample = (array[number : number + 1].astype(dtype) for array, dtype in zip(batch, types, strict=True))
            yield ENDPOINT, {f"input_{position}": array for position, array in enumerate(sample)}
        done += len(batch[0])
        report(done, total)
