"""The calibration set: drawn once from the training images, used byte for byte by every quantizer."""

import json
from pathlib import Path

import numpy as np

from shared.errors import CrossquantError
from shared.images import draw_by_class, preprocess


def run(source: Path, out: Path, *, images: int, seed: int) -> None:
    """Write `images.npy`, float32 (images, height, width, channels), and `manifest.json` with the indices drawn.

    The same number of each class, in ascending order of their index in the training set. The draw looks at the labels
    of the whole training set, so that the embedded sample gives the very same images.
    """
    labels = np.load(source / "y_train.npy")
    classes = len(np.unique(labels))
    if images % classes:
        raise CrossquantError(f"calibration.images is {images}: make it a multiple of the {classes} classes")
    try:
        indices = draw_by_class(labels, images // classes, np.random.default_rng(seed))
    except ValueError as error:
        raise CrossquantError(f"calibration.images is {images}: {error}") from None
    np.save(out / "images.npy", preprocess(stored(source, indices)))
    manifest = {"split": "train", "seed": seed, "indices": indices.tolist()}
    (out / "manifest.json").write_text(json.dumps(manifest))


def stored(source: Path, indices: np.ndarray) -> np.ndarray:
    """The training images with these indices in the full training set, of which a sample holds only some."""
    kept = np.load(source / "train_indices.npy")
    if not np.isin(indices, kept).all():
        raise CrossquantError(
            "the embedded sample holds only the default calibration images: "
            "set calibration back, or get the full data set with `python -m driver fetch`"
        )
    return np.load(source / "x_train.npy", mmap_mode="r")[np.searchsorted(kept, indices)]
