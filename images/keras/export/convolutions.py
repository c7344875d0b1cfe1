"""Convolutions that Keras wraps in a function of XLA, which tf2onnx can't open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import nn


@contextmanager
def without_xla() -> Iterator[None]:
    """Have Keras trace every convolution as TensorFlow's plain operator.

    On a CPU, TensorFlow runs convolutions in groups, and those of volumes with the channels first, through XLA alone.
    A graph that is traced for export is not run.
    """
    wrapped = nn.conv
    nn.conv = convolve
    try:
        yield
    finally:
        nn.conv = wrapped


def convolve(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Any:
    """What `keras.ops.conv` computes, by one operator."""
    last = (data_format or keras.config.image_data_format()) == "channels_last"
    spatial = "DHW"[5 - len(inputs.shape) :]
    return tf.nn.convolution(
        inputs,
        kernel,
        strides,
        padding.upper(),
        data_format=f"N{spatial}C" if last else f"NC{spatial}",
        dilations=dilation_rate,
    )
