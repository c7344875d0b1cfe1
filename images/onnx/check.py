"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.onnx import session
from images.onnx.computed_bytes import per_sample
from shared.contract import encode
from shared.data import data_report, preprocessing_variants
from shared.measure.predictions import Model
from shared.runner import threads


def run(source: Path, dataset: Path, labels: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""

    def load() -> tuple[Model, int]:
        return session.load(model, threads.allowed()), per_sample(model, dataset)

    found = preprocessing_variants.compare(load, source, dataset, labels, samples)
    (out / data_report.FILE).write_text(encode(data_report.examine(source, found)))
