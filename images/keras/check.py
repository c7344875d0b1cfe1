"""A look at the data, with the user's model: is it what the model was trained on?"""

from pathlib import Path

from images.keras import computed
from images.keras.model import answering, limit_threads, open_model
from shared import examination, store, threads, twins
from shared.contract import encode


def run(source: Path, dataset: Path, labels: Path, model: Path, out: Path, *, samples: int) -> None:
    """Write `examination.json` (Examination): of all arrays, and of the model on `samples` test samples."""
    limit_threads(threads.allowed())
    opened = open_model(model)
    each = computed.per_sample(opened, dataset)
    answer = answering(opened, threads.allowed())
    found = twins.compare(answer, dataset, labels, store.parameters(source), samples, each)
    (out / examination.FILE).write_text(encode(examination.examine(source, found)))
