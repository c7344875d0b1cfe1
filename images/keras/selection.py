"""The samples that recipes are chosen by: training samples that are in no calibration set, never test samples."""

from pathlib import Path

import numpy as np

from images.keras import sampling
from images.keras.calibration import read_manifest, write_manifest
from images.keras.dataset import write_about
from shared.data import mates, samples
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError

HALVES_SEED = 0


def run(source: Path, taken: dict[str, Path], out: Path, *, images: int, seed: int) -> None:
    """Write `images` training samples without labels, and a manifest; none of them is in an artifact of `taken`.

    CrossquantError where there are too few samples.
    """
    write_half(source, taken, out, half=0, images=images, seed=seed)
    labels = samples.labels(out)
    (out / samples.LABELS).unlink(missing_ok=True)  # they are the artifact selection.labels
    write_about(out, samples.about(out), labels)


def write_half(source: Path, taken: dict[str, Path], out: Path, *, half: int, images: int, seed: int) -> None:
    """Write `images` samples, drawn from one half (0 or 1) of the training samples that no artifact of `taken` holds.

    Sets from different halves share no sample. CrossquantError where the half has too few.
    """
    remaining = np.setdiff1d(sampling.drawable_indices(source), taken_indices(taken))
    if not len(remaining):
        raise CrossquantError(
            "all training samples calibrate, and none is left to choose by: set calibration.images to fewer than all"
        )
    units = mates.number_units(samples.about(source), sampling.load_train_labels(source))
    if units is None:
        halves = split_in_halves(class_labels(source, remaining))
    else:
        halves = mates.split_in_halves(units[remaining], np.random.default_rng(HALVES_SEED))
    candidates = remaining[halves[half]]
    try:
        indices = sampling.draw_indices(source, candidates, images, seed)
    except ValueError as error:
        raise CrossquantError(
            f"{images} training samples outside of the calibration sets: {error}; the option images of "
            f"{'selection' if half == 0 else 'holdout'} says how many"
        ) from None
    sampling.write_samples(source, indices, out)
    write_manifest(out, indices, seed)


def class_labels(source: Path, indices: Indices) -> Array:
    """The class of each of these training samples; 0 for all where the task has no classes."""
    labels = sampling.load_train_labels(source)
    if labels is not None and samples.about(source).task == "classification":
        return labels[indices]
    return np.zeros(len(indices), np.uint8)


def split_in_halves(labels: Array) -> list[Indices]:
    """Positions of two halves of the samples, sorted: each class is split evenly, the first half may have one more."""
    random = np.random.default_rng(HALVES_SEED)
    shuffled = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    return [np.sort(np.concatenate([members[half::2] for members in shuffled])) for half in (0, 1)]


def taken_indices(taken: dict[str, Path]) -> Indices:
    """The indices of all training samples that these artifacts hold, in the order of the artifacts."""
    return np.concatenate([np.zeros(0, np.int64), *map(read_manifest, taken.values())])
