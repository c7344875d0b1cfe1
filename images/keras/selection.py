"""Images to choose recipes by: of the training set, none of them in a calibration set. Never the test set."""

import json
from pathlib import Path

import numpy as np

from images.keras.calibration import MANIFEST, stored, write_manifest
from shared.errors import CrossquantError
from shared.images import IMAGES, LABELS, draw_stratified

HALVES_SEED = 0


def run(source: Path, taken: dict[str, Path], out: Path, *, images: int, seed: int) -> None:
    """Write what the data set has, of other images: disjoint from those of the artifacts in `taken`."""
    write(source, taken, out, half=0, images=images, seed=seed)


def write(source: Path, taken: dict[str, Path], out: Path, *, half: int, images: int, seed: int) -> None:
    """`images` of one half of what `taken` leaves of the training set: sets of different halves share no image."""
    labels = np.load(source / "y_train.npy")
    free = np.setdiff1d(np.arange(len(labels)), used(taken))
    free = free[halves(labels[free])[half]]
    try:
        indices = free[draw_stratified(labels[free], images, np.random.default_rng(seed))]
    except ValueError as error:
        raise CrossquantError(f"{images} training images that calibrate nothing: {error}") from None
    np.save(out / IMAGES, stored(source, indices))
    np.save(out / LABELS, labels[indices])
    write_manifest(out, indices, seed)
    (out / "about.json").write_text((source / "about.json").read_text())


def halves(labels: np.ndarray) -> list[np.ndarray]:
    """Indices of two halves of the images, the same number of each class in both (or one more), sorted."""
    random = np.random.default_rng(HALVES_SEED)
    shuffled = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return [np.sort(np.concatenate([members[half::2] for members in shuffled])) for half in (0, 1)]


def used(taken: dict[str, Path]) -> np.ndarray:
    """The indices of all training images that these artifacts hold."""
    manifests = [json.loads((path / MANIFEST).read_text()) for path in taken.values()]
    return np.array([index for manifest in manifests for index in manifest["indices"]], dtype=np.int64)
