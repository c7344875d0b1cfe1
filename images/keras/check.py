"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.keras import computed
from images.keras.model import answering, limit_threads, open_model
from shared import examination, threads, twins
from shared.contract import encode
from shared.predictions import Model


def run(source: Path, dataset: Path, labels: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""

    def load() -> tuple[Model, int]:
        limit_threads(threads.allowed())
        opened = open_model(model)
        return answering(opened, threads.allowed()), computed.per_sample(opened, dataset)

    found = twins.compare(load, source, dataset, labels, samples)
    (out / examination.FILE).write_text(encode(examination.examine(source, found)))
