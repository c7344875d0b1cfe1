"""Images that decide which layers stay in float: training images that are in no calibration or selection set."""

from pathlib import Path

from images.keras import selection


def run(source: Path, taken: dict[str, Path], out: Path, *, images: int, seed: int) -> None:
    """Write what the data set has, of other images: disjoint from those of the artifacts in `taken`."""
    selection.write(source, taken, out, half=1, images=images, seed=seed)
