"""How long each shipped file takes, call by call."""

from pathlib import Path

from images.torch.runtime.formats import load
from shared.measure import timing


def run(
    dataset: Path,
    available: dict[str, Path],
    out: Path,
    *,
    rounds: int,
    calls: int,
    batch_size: int,
) -> None:
    timing.measure(available, dataset, out, load, timing.Size(rounds, calls, batch_size))
