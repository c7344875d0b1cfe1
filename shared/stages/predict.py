"""The answers of a variant to every sample of a data set."""

from pathlib import Path

from shared.measure import predictions
from shared.runner import threads
from shared.stages.image_modules import ComputedBytes, Runtime


def run(
    variant: Path, dataset: Path, out: Path, *, runtime: Runtime, computed_bytes: ComputedBytes, batch_size: int
) -> None:
    """Write `output_0.npy` …, `batch.json` and `cpu.json` (shared/measure/predictions.py)."""
    model = runtime.load(variant, threads.allowed())  # first, since it sets the threads of the framework
    predictions.predict(model, dataset, out, batch_size, computed_bytes.per_sample(variant, dataset))
