"""Every PyTorch variant's answer to every test image, from the file that is shipped."""

from pathlib import Path

from images.torch.forms import load
from shared import predictions, threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    predictions.predict(load(model, threads.allowed()), dataset, out, batch_size)
