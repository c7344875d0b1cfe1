"""A model of the zoo with its calibration and test samples, as artifacts without manifests."""

import json
from pathlib import Path

import keras
import numpy as np

from shared.data import samples
from tests.zoo import models
from tests.zoo.names import TRAINED

CALIBRATION, TEST, TRAINING = 100, 200, 2000  # samples


def make(folder: Path) -> None:
    """`input.model`, `calibration` and `dataset` in `folder`: the same each time."""
    name = folder.name
    keras.utils.set_random_seed(0)
    model = getattr(models, name)()
    random = np.random.default_rng(7)
    if name in TRAINED:
        draw = {"mlp": table, "cnn_1d": signals}[name]
        train(model, *draw(random, TRAINING))
        sets = {"calibration": draw(random, CALIBRATION), "dataset": draw(random, TEST)}
        kept = {part: ((inputs,), labels) for part, (inputs, labels) in sets.items()}
    else:
        kept = {
            part: (noise(model, random, count), None)
            for part, count in (("calibration", CALIBRATION), ("dataset", TEST))
        }
    (folder / "input.model").mkdir()
    model.save(folder / "input.model" / "model.keras")
    for part, (inputs, labels) in kept.items():
        write(folder / part, inputs, labels)


def noise(model: keras.Model, random: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    """Pictures of smooth patches, 0-255, for inputs of rank 4; normal values for others."""
    arrays = []
    for tensor in model.inputs:
        shape = tensor.shape[1:]
        if len(shape) == 3:
            coarse = random.integers(0, 256, (count, shape[0] // 8, shape[1] // 8, shape[2]))
            arrays.append(coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8))
        else:
            arrays.append(random.normal(size=(count, *shape)).astype(np.float32))
    return tuple(arrays)


def table(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight columns, of which four decide between two classes."""
    x = random.normal(size=(count, 8)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3] > 0).astype(np.uint8)


def signals(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two channels of a slow, a middling or a fast wave, of any phase, with noise."""
    labels = random.integers(0, 3, count)
    time = np.arange(64)[None, :, None] * np.array([2, 5, 11])[labels][:, None, None] * 2 * np.pi / 64
    waves = np.sin(time + random.uniform(0, 2 * np.pi, (count, 1, 2)))
    return (waves + random.normal(0, 0.4, waves.shape)).astype(np.float32), labels.astype(np.uint8)


def train(model: keras.Model, inputs: np.ndarray, labels: np.ndarray) -> None:
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(inputs, labels, batch_size=64, epochs=20, verbose=0)


def write(folder: Path, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None) -> None:
    folder.mkdir()
    for number, array in enumerate(inputs):
        np.save(folder / samples.file(number), array)
    task = "fidelity" if labels is None else "classification"
    if labels is not None:
        np.save(folder / samples.LABELS, labels)
    (folder / samples.ABOUT).write_text(json.dumps({"name": "zoo", "task": task, "unit": "samples"}))
