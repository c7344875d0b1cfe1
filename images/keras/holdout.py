"""Training images that decide which layers stay in float: none of them is in a calibration or selection set."""

from pathlib import Path

from images.keras import selection


def run(source: Path, taken: dict[str, Path], out: Path, *, images: int, seed: int) -> None:
    """Write `images` training samples, their labels and a manifest; none of them is in an artifact of `taken`.

    CrossquantError where there are too few samples.
    """
    selection.write_half(source, taken, out, half=1, images=images, seed=seed)
