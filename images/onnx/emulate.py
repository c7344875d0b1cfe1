"""What each ONNX variant answers on other CPUs than this one."""

from pathlib import Path

from images.onnx.session import load
from shared.emulation import emulation


def run(model: Path, dataset: Path, labels: Path, out: Path, *, cpus: list[str], images: int) -> None:
    emulation.answer(model, dataset, labels, out, load.__module__, cpus, images)
