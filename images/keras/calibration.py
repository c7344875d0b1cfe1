"""The calibration set: drawn once from the training images, used byte for byte by every quantizer."""

import json
from pathlib import Path

import numpy as np

from shared.errors import CrossquantError
from shared.images import IMAGES, LABELS, draw_stratified, preprocess

MANIFEST = "manifest.json"


def run(source: Path, out: Path, *, images: int, seed: int) -> None:
    """Write `images.npy`, float32 (images, height, width, channels), `labels.npy`, uint8 (images,), and a manifest.

    As even over the classes as can be, in ascending order of their index in the training set. The draw looks at the
    labels of the whole training set, so that the embedded sample gives the very same images.
    """
    labels = np.load(source / "y_train.npy")
    try:
        indices = draw_stratified(labels, images, np.random.default_rng(seed))
    except ValueError as error:
        raise CrossquantError(f"calibration.images is {images}: {error}") from None
    np.save(out / IMAGES, preprocess(stored(source, indices)))
    np.save(out / LABELS, labels[indices])
    write_manifest(out, indices, seed)


def write_manifest(out: Path, indices: np.ndarray, seed: int) -> None:
    """Which images of the training set these are."""
    manifest = {"split": "train", "seed": seed, "indices": indices.tolist()}
    (out / MANIFEST).write_text(json.dumps(manifest))


def stored(source: Path, indices: np.ndarray) -> np.ndarray:
    """The training images with these indices in the full training set, of which a sample holds only some."""
    kept = np.load(source / "train_indices.npy")
    if not np.isin(indices, kept).all():
        raise CrossquantError(
            "the embedded sample holds only the default calibration images: "
            "ask for no others, or get the full data set with `python -m driver fetch`"
        )
    return np.load(source / "x_train.npy", mmap_mode="r")[np.searchsorted(kept, indices)]
