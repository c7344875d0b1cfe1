"""Files of Keras 1: their settings and weights are renamed and reordered, and they answer as before."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from images.keras import load
from images.keras.safety import files
from shared.errors import CrossquantError

REGULARIZERS = {"W_regularizer": None, "b_regularizer": None, "W_constraint": None, "activity_regularizer": None}


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """A layer as Keras 1.2 wrote it."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def write(path: Path, described: list[dict[str, Any]], weights: dict[str, Sequence[np.ndarray]]) -> Path:
    """A Sequential of Keras 1.2.1 with these weights, by the layers' names."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"1.2.1"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": described}).encode()
        groups = file.create_group("model_weights")
        groups.attrs["layer_names"] = [item["config"]["name"].encode() for item in described]
        for item in described:
            name = item["config"]["name"]
            arrays = weights.get(name, ())
            group = groups.create_group(name)
            group.attrs["weight_names"] = [f"{name}_{number}".encode() for number in range(len(arrays))]
            for number, array in enumerate(arrays):
                group.create_dataset(f"{name}_{number}", data=array)
    return path


def answer(path: Path, x: np.ndarray) -> np.ndarray:
    files.check_file(path, trust=False)
    return np.asarray(load.load_file(path, {}, trust=False)(x))


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.6, 0.6, shape).astype("f")


PICTURE = [
    layer(
        "Convolution2D",
        "convolution2d_1",
        **REGULARIZERS,
        **{"batch_input_shape": [None, 8, 8, 3], "input_dtype": "float32", "nb_filter": 4, "nb_row": 3, "nb_col": 2},
        **{"subsample": [2, 1], "border_mode": "same", "dim_ordering": "tf", "bias": True, "init": "glorot_uniform"},
        activation="relu",
    ),
    layer("BatchNormalization", "normalization", mode=0, axis=-1, epsilon=1e-3, momentum=0.99, beta_init="zero"),
    layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering="tf"),
    layer("Dropout", "dropout_1", p=0.5),
    layer("Flatten", "flatten_1"),
    layer(
        "Dense", "dense_1", output_dim=2, init="normal", activation="linear", bias=True, input_dim=32, **REGULARIZERS
    ),
]
KERNEL = random(3, 2, 3, 4)
NORMALIZATION = [random(4, seed=1) + 1, random(4, seed=2), random(4, seed=3), random(4, seed=4) + 1]
DENSE = [random(32, 2, seed=5), random(2, seed=6)]


def test_a_model_of_pictures(tmp_path: Path):
    weights = {"convolution2d_1": [KERNEL, random(4)], "normalization": NORMALIZATION, "dense_1": DENSE}
    path = write(tmp_path / "model.h5", PICTURE, weights)
    content = path.read_bytes()
    images = random(3, 8, 8, 3, seed=9)
    x = tf.nn.relu(tf.nn.conv2d(images, KERNEL, (2, 1), "SAME") + random(4))
    gamma, beta, mean, variance = NORMALIZATION
    x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    x = tf.reshape(tf.nn.max_pool2d(x, 2, 2, "VALID"), (3, -1))
    np.testing.assert_allclose(answer(path, images), x @ DENSE[0] + DENSE[1], rtol=1e-5, atol=1e-6)
    assert path.read_bytes() == content


def recurrent(kind: str, name: str, units: int, **config: Any) -> dict[str, Any]:
    return layer(
        kind,
        name,
        **{
            "output_dim": units,
            "init": "glorot_uniform",
            "inner_init": "orthogonal",
            "inner_activation": "hard_sigmoid",
        },
        **{"forget_bias_init": "one", "activation": "tanh", "dropout_W": 0.0, "dropout_U": 0.0, "consume_less": "cpu"},
        **{"W_regularizer": None, "U_regularizer": None, "b_regularizer": None, "unroll": False, "stateful": False},
        **config,
    )


def test_a_model_of_sequences(tmp_path: Path):
    described = [
        layer(
            "Convolution1D",
            "convolution1d_1",
            **{"batch_input_shape": [None, 6, 3], "input_dtype": "float32", "nb_filter": 4, "filter_length": 2},
            **{"subsample_length": 1, "border_mode": "valid", "activation": "linear", "bias": True},
        ),
        recurrent("LSTM", "lstm_1", 5, return_sequences=True, go_backwards=False),
        recurrent("GRU", "gru_1", 2, return_sequences=False, go_backwards=False),
    ]
    kernel = random(2, 1, 3, 4)
    gates = {
        name: [random(4, 5, seed=n), random(5, 5, seed=n + 10), random(5, seed=n + 20)] for n, name in enumerate("icfo")
    }
    turns = {
        name: [random(5, 2, seed=n), random(2, 2, seed=n + 10), random(2, seed=n + 20)] for n, name in enumerate("zrh")
    }
    weights = {
        "convolution1d_1": [kernel, random(4)],
        "lstm_1": [array for arrays in gates.values() for array in arrays],
        "gru_1": [array for arrays in turns.values() for array in arrays],
    }
    x = random(3, 6, 3, seed=9)
    expected = run_gru(turns, run_lstm(gates, np.asarray(tf.nn.conv1d(x, kernel[:, 0], 1, "VALID")) + random(4)))
    path = write(tmp_path / "model.h5", described, weights)
    np.testing.assert_allclose(answer(path, x), expected, rtol=1e-5, atol=1e-6)


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def run_lstm(gates: dict[str, list[np.ndarray]], x: np.ndarray) -> np.ndarray:
    """Every step's output, by the definition."""
    state, memory, steps = np.zeros((3, 5), "f"), np.zeros((3, 5), "f"), []
    for step in x.transpose(1, 0, 2):
        sums = {name: step @ kernel + state @ inner + bias for name, (kernel, inner, bias) in gates.items()}
        memory = hard_sigmoid(sums["f"]) * memory + hard_sigmoid(sums["i"]) * np.tanh(sums["c"])
        state = hard_sigmoid(sums["o"]) * np.tanh(memory)
        steps.append(state)
    return np.stack(steps, axis=1)


def run_gru(gates: dict[str, list[np.ndarray]], x: np.ndarray) -> np.ndarray:
    """The last step's output: the state is reset before it is multiplied."""
    state = np.zeros((3, 2), "f")
    for step in x.transpose(1, 0, 2):
        update, reset = (hard_sigmoid(step @ w + state @ u + b) for w, u, b in (gates["z"], gates["r"]))
        kernel, inner, bias = gates["h"]
        state = update * state + (1 - update) * np.tanh(step @ kernel + (reset * state) @ inner + bias)
    return state


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"dim_ordering": "th"}, "layer 'convolution2d_1' has the order of Theano"),
        ({"mode": 1}, "layer 'normalization' has mode: 1, which Keras has done without since version 2"),
    ],
)
def test_what_later_versions_lack_is_named(changed: dict[str, Any], reason: str, tmp_path: Path):
    described = [{**item, "config": {**item["config"]}} for item in PICTURE]
    for item in described:
        item["config"] |= {key: value for key, value in changed.items() if key in item["config"]}
    with pytest.raises(CrossquantError, match=reason):
        load.load_file(write(tmp_path / "model.h5", described, {}), {}, trust=False)


def test_convolutions_of_theano(tmp_path: Path):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)])
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["backend"], file.attrs["keras_version"] = b"theano", b"2.0.8"
    with pytest.raises(
        CrossquantError, match=r"^model.h5 was saved with Theano, which turns the kernels of convolutions"
    ):
        load.load_file(tmp_path / "model.h5", {}, trust=False)
