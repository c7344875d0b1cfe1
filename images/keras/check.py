"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.keras import computed_bytes
from images.keras.model.runtime import limit_threads, make_callable, open_model
from shared.contract import encode
from shared.data import data_report, preprocessing_variants
from shared.measure.predictions import Model
from shared.runner import threads


def run(source: Path, dataset: Path, labels: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""

    def load() -> tuple[Model, int]:
        limit_threads(threads.allowed())
        opened = open_model(model)
        return make_callable(opened, threads.allowed()), computed_bytes.per_sample(opened, dataset)

    found = preprocessing_variants.compare(load, source, dataset, labels, samples)
    (out / data_report.FILE).write_text(encode(data_report.examine(source, found)))
