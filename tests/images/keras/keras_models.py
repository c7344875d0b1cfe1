"""Small seeded Keras models, each with a feature that a converter has failed on."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SHAPE = (8, 8, 3)
CLASSES = 10


def images(count: int) -> np.ndarray:
    """(count, *SHAPE) float32, raw pixels 0-255."""
    return np.random.default_rng(1).integers(0, 256, (count, *SHAPE)).astype(np.float32)


def probabilities(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(CLASSES, activation="softmax", bias_initializer="random_normal")(x)


def flatten_after_pooling() -> keras.Model:
    """Flatten becomes Shape, Slice and Concat in tf2onnx; BatchNormalization Mul and Add."""
    inputs = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(4, 3, padding="same")(layers.Rescaling(1 / 255)(inputs))
    x = layers.ReLU()(layers.BatchNormalization(gamma_initializer="random_normal")(x))
    return keras.Model(inputs, probabilities(layers.Flatten()(layers.MaxPooling2D()(x))))


def sequential() -> keras.Model:
    """tf2onnx can't name the inputs of a Sequential."""
    body = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input(SHAPE), *body, layers.Dense(CLASSES, activation="softmax")])


def residual() -> keras.Model:
    """Two ways that meet: their order in the file is what tf2onnx draws anew."""
    inputs = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    y = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.Add()([layers.Conv2D(4, 1)(x), y])
    return keras.Model(inputs, probabilities(layers.GlobalAveragePooling2D()(x)))


def normalization() -> keras.Model:
    """Mean and variance become inputs of the graph in some converters."""
    inputs = keras.Input(SHAPE)
    x = layers.Normalization(mean=[125.0, 123.0, 114.0], variance=[3969.0, 3844.0, 4489.0])(inputs)
    return keras.Model(inputs, probabilities(layers.Flatten()(x)))


def flip() -> keras.Model:
    """RandomFlip does nothing when the model is used."""
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(layers.RandomFlip()(inputs))
    return keras.Model(inputs, probabilities(layers.Flatten()(x)))


def gelu() -> keras.Model:
    """Erfc in TensorFlow, which ONNX doesn't have: it becomes Erf."""
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, probabilities(layers.Flatten()(layers.Conv2D(4, 3, activation="gelu")(inputs))))


@keras.saving.register_keras_serializable("tests")
class Bessel(layers.Layer):
    """An operator of TensorFlow that ONNX has nothing for."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return tf.math.bessel_i0e(x, name="i0e")


def bessel() -> keras.Model:
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, probabilities(layers.Flatten()(Bessel(name="bessel")(inputs))))


def upsampled() -> keras.Model:
    """Keras can't trace it for open sizes: it multiplies None."""
    inputs = keras.Input((None, None, 3))
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(4, 3, strides=2, padding="same")(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalMaxPooling2D()(x)))


BUILDERS = (flatten_after_pooling, sequential, residual, normalization, flip, gelu)


def save(build: Callable[[], keras.Model], folder: Path) -> Path:
    """Write the artifact `keras.fp32` without a manifest: the same weights every time."""
    keras.utils.set_random_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    build().save(folder / "model.keras")
    return folder


def write_samples(model: keras.Model, folder: Path, samples: int = 7) -> Path:
    """Write an artifact `dataset` for the model: pixels or small integers, with 7 for each size that it leaves open."""
    random = np.random.default_rng(2)
    folder.mkdir(parents=True, exist_ok=True)
    for number, tensor in enumerate(model.inputs):
        shape = (samples, *(size or 7 for size in tensor.shape[1:]))
        floats = "float" in str(tensor.dtype)
        array = random.normal(size=shape).astype("f") if floats else random.integers(0, 4, shape)
        np.save(folder / f"input_{number}.npy", array)
    (folder / "about.json").write_text('{"task": "fidelity"}')
    return folder
