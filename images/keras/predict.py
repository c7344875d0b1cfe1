"""The Keras model's answer to every test image: the reference."""

from pathlib import Path

from images.keras import computed_bytes
from images.keras.model.runtime import limit_threads, make_callable, open_model
from shared.measure import predictions
from shared.runner import threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    limit_threads(threads.allowed())
    source = open_model(model)
    each = computed_bytes.per_sample(source, dataset)
    predictions.predict(make_callable(source, threads.allowed()), dataset, out, batch_size, each)
