"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.onnx.computed import per_sample
from images.onnx.session import load
from shared import examination, store, threads, twins
from shared.contract import encode


def run(source: Path, dataset: Path, labels: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""
    each = per_sample(model, dataset)
    answer = load(model, threads.allowed())
    found = twins.compare(answer, dataset, labels, store.parameters(source), samples, each)
    (out / examination.FILE).write_text(encode(examination.examine(source, found)))
