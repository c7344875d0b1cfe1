"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.onnx.computed import per_sample
from images.onnx.session import load
from shared import examination, store, threads, twins
from shared.contract import encode


def run(source: Path, dataset: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""
    found = twins.compare(
        load(model, threads.allowed()), dataset, store.parameters(source), samples, per_sample(model, dataset)
    )
    (out / examination.FILE).write_text(encode(examination.examine(source, found)))
