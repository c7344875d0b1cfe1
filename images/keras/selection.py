"""Samples to choose recipes by: of the training set, none of them in a calibration set. Never the test set."""

from pathlib import Path

import numpy as np

from images.keras import sampling as sources
from images.keras.calibration import read_manifest, write_manifest
from images.keras.dataset import write_about
from shared.data import samples
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError

HALVES_SEED = 0


def run(source: Path, taken: dict[str, Path], out: Path, *, images: int, seed: int) -> None:
    """Write what the data set has but labels, of other samples: disjoint from those of the artifacts in `taken`."""
    write(source, taken, out, half=0, images=images, seed=seed)
    known = samples.labels(out)
    (out / samples.LABELS).unlink(missing_ok=True)  # an artifact of their own has them
    write_about(out, samples.about(out), known)


def write(source: Path, taken: dict[str, Path], out: Path, *, half: int, images: int, seed: int) -> None:
    """`images` of one half of what `taken` leaves of the training set: sets of different halves share no sample."""
    free = np.setdiff1d(sources.drawable(source), used(taken))
    free = free[halves(groups(source, free))[half]]
    try:
        indices = sources.draw(source, free, images, seed)
    except ValueError as error:
        raise CrossquantError(f"{images} training images that calibrate nothing: {error}") from None
    sources.write(source, indices, out)
    write_manifest(out, indices, seed)


def groups(source: Path, free: Indices) -> Array:
    """Of which class each sample is; all of one where there are no classes."""
    labels = sources.labels(source)
    if labels is not None and samples.about(source).task == "classification":
        return labels[free]
    return np.zeros(len(free), np.uint8)


def halves(labels: Array) -> list[Indices]:
    """Indices of two halves of the samples, the same number of each class in both (or one more), sorted."""
    random = np.random.default_rng(HALVES_SEED)
    shuffled = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return [np.sort(np.concatenate([members[half::2] for members in shuffled])) for half in (0, 1)]


def used(taken: dict[str, Path]) -> Indices:
    """The indices of all training samples that these artifacts hold."""
    return np.concatenate([np.zeros(0, np.int64), *map(read_manifest, taken.values())])
