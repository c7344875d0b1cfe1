"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.onnx import session
from images.onnx.computed import per_sample
from shared import examination, threads, twins
from shared.contract import encode
from shared.predictions import Model


def run(source: Path, dataset: Path, labels: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""

    def load() -> tuple[Model, int]:
        return session.load(model, threads.allowed()), per_sample(model, dataset)

    found = twins.compare(load, source, dataset, labels, samples)
    (out / examination.FILE).write_text(encode(examination.examine(source, found)))
