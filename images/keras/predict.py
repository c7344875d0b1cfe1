"""The Keras model's answer to every test image: the reference."""

from pathlib import Path

from images.keras.model import load
from shared import predictions, threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    predictions.predict(load(model, threads.allowed()), dataset, out, batch_size)
