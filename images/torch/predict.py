"""Every PyTorch variant's answer to every test image, from the file that is shipped."""

from pathlib import Path

from images.torch.computed import per_sample
from images.torch.forms import load
from shared import predictions, threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    answering = load(model, threads.allowed())  # first, since it sets the threads of the framework
    predictions.predict(answering, dataset, out, batch_size, per_sample(model, dataset))
