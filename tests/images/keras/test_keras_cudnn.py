"""CuDNNLSTM and CuDNNGRU of Keras 2 answer as the LSTM and GRU that they were made of."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from images.keras.model import cudnn, keras2, layer_weights
from tests.images.keras import keras2_files

CUDNN = {"LSTM": ("CuDNNLSTM", 4), "GRU": ("CuDNNGRU", 3)}


def both_ways() -> keras.Model:
    inputs = keras.Input((6, 4))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.GRU(5)(x)))


def in_sequence() -> keras.Model:
    return keras.Sequential([keras.Input((6, 4)), layers.LSTM(3, return_sequences=True), layers.LSTM(2)])


def to_cudnn(kind: str, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Weights in cuDNN's layout: each gate's matrices transposed, and twice as many biases."""
    kernel, recurrent, bias = arrays
    _, gates = CUDNN[kind]
    kernels = [part.T.ravel().reshape(part.shape) for part in np.hsplit(kernel, gates)]
    recurrents = [part.T for part in np.hsplit(recurrent, gates)]
    biases = np.concatenate([0.25 * bias, 0.75 * bias]) if kind == "LSTM" else bias.ravel()
    return [np.hstack(kernels), np.hstack(recurrents), biases]


def rename(value: Any) -> Any:
    """The configuration with cuDNN's classes, which have no activations."""
    if isinstance(value, list):
        return [rename(item) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {key: rename(item) for key, item in value.items()}
    if copied.get("class_name") in CUDNN:
        copied["class_name"] = CUDNN[copied["class_name"]][0]
        for key in ("activation", "recurrent_activation", "reset_after", "implementation", "unroll"):
            copied["config"].pop(key, None)
    return copied


@pytest.mark.parametrize("value", [3, None, "two", {"a": 1}, [3, {"config": {}}, {"class_name": "Dense"}]])
def test_what_a_user_s_layer_calls_its_layers_is_passed_over(value: Any):
    own = {"class_name": "Own", "config": {"name": "own", "layers": value}}
    model = {"class_name": "Functional", "config": {"layers": [own]}}
    assert list(layer_weights.find_layers(model)) == [("own", own)]


@pytest.mark.parametrize("build", [both_ways, in_sequence])
def test_the_layers_of_cudnn_are_read(build: Any, tmp_path: Path):
    keras.utils.set_random_seed(1)
    model = build()
    random = np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.5, weight.shape))
    samples = random.normal(size=(5, 6, 4)).astype(np.float32)
    expected = np.asarray(model(samples))
    path = keras2_files.save(model, tmp_path / "old.h5", type(model).__name__)
    with h5py.File(path, "r+") as file:
        config = keras.saving.serialize_keras_object(model)
        layer_weights.convert_weights(
            file["model_weights"], config, lambda kind: partial(to_cudnn, kind) if kind in CUDNN else None
        )
    keras2_files.edit(path, rename)
    loaded = keras2.load_hdf5(path, {}, trust=False)
    assert not {type(layer).__name__ for layer in loaded.layers} & set(cudnn.CLASSES)
    np.testing.assert_allclose(np.asarray(loaded(samples)), expected, atol=1e-6)
