"""The test images of the experiment, as every framework will see them."""

from pathlib import Path

import numpy as np

from shared.images import IMAGES, LABELS


def run(source: Path, out: Path) -> None:
    """Write `images.npy`, uint8 (n, height, width, channels), `labels.npy`, uint8 (n,), and `about.json`."""
    for array, file in (("x_test", IMAGES), ("y_test", LABELS)):
        np.save(out / file, np.load(source / f"{array}.npy", mmap_mode="r"))
    (out / "about.json").write_text((source / "about.json").read_text())
