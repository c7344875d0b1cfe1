"""Every LiteRT variant's answer to every test image, by LiteRT on the CPU."""

from pathlib import Path

from images.litert.session import load
from shared import predictions, threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    predictions.predict(load(model, threads.allowed()), dataset, out, batch_size)
