"""The stage that times each variant of an image from a fresh process to its first answer."""

from pathlib import Path

from shared.measure import startup
from shared.stages.image_modules import Runtime


def run(dataset: Path, available: dict[str, Path], out: Path, *, runtime: Runtime, repeats: int) -> None:
    """Write `starts.json`: `{variant: [shared.measure.startup.Start, …]}`."""
    startup.measure(available, dataset, out, runtime.__name__, repeats=repeats)
