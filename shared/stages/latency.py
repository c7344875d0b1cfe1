"""The stage that times each variant of an image, call by call."""

from pathlib import Path

from shared.measure import timing
from shared.stages.image_modules import Runtime


def run(
    dataset: Path,
    available: dict[str, Path],
    out: Path,
    *,
    runtime: Runtime,
    rounds: int,
    calls: int,
    batch_size: int,
) -> None:
    """Write `samples.json` (shared.measure.timing.Timings)."""
    timing.measure(available, dataset, out, runtime.load, timing.Size(rounds, calls, batch_size))
