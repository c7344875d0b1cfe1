"""The report on a data set, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from shared.contract import encode
from shared.data import data_report, preprocessing_variants
from shared.measure.predictions import Model
from shared.runner import threads
from shared.stages.image_modules import ComputedBytes, Runtime


def run(
    source: Path,
    dataset: Path,
    labels: Path,
    variant: Path,
    out: Path,
    *,
    runtime: Runtime,
    computed_bytes: ComputedBytes,
    samples: int,
) -> None:
    """Write `data_report.json` (DataReport): a report on all arrays, and on the model with `samples` test samples."""

    def load() -> tuple[Model, int]:
        model = runtime.load(variant, threads.allowed())  # first, since it sets the threads of the framework
        return model, computed_bytes.per_sample(variant, dataset)

    variants = preprocessing_variants.compare(load, source, dataset, labels, samples)
    (out / data_report.FILE).write_text(encode(data_report.make_data_report(source, variants)))
