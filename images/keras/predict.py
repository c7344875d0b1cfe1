"""The Keras model's answer to every test image: the reference."""

from pathlib import Path

from images.keras import computed
from images.keras.model import answering, limit_threads, open_model
from shared import predictions, threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    limit_threads(threads.allowed())
    source = open_model(model)
    each = computed.per_sample(source, dataset)
    predictions.predict(answering(source, threads.allowed()), dataset, out, batch_size, each)
