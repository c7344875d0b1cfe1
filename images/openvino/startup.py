"""How long each OpenVINO variant takes from a fresh process to its first answer."""

from pathlib import Path

from images.openvino.session import load
from shared.measure import startup


def run(dataset: Path, available: dict[str, Path], out: Path, *, repeats: int) -> None:
    startup.measure(available, dataset, out, load.__module__, repeats=repeats)
