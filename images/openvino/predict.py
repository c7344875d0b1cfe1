"""Every OpenVINO variant's answer to every sample, on the CPU."""

from pathlib import Path

from images.openvino.computed_bytes import per_sample
from images.openvino.session import load
from shared.measure import predictions
from shared.runner import threads


def run(model: Path, dataset: Path, out: Path, *, batch_size: int) -> None:
    answering = load(model, threads.allowed())  # first, since it sets the threads of the framework
    predictions.predict(answering, dataset, out, batch_size, per_sample(model, dataset))
