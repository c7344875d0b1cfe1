"""The split of the user's data into training and test set, and which training samples must not be drawn."""

from pathlib import Path

import numpy as np

from images.keras import sampling
from images.keras.data.arrays import copy_samples
from images.keras.data.sample_sets import ALL, TEST, TRAIN
from images.keras.label_files import GROUPS_FILE, LABELS_FILE
from shared.data import leakage
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError

MOST_ALONE = 20  # samples that may each be the only one of its class without looking like another task


def save_splits(
    out: Path,
    arrays: dict[str, dict[str, Array | None]],
    share: float,
    seed: int,
    duplicates: str,
    *,
    stratify: bool = True,
) -> None:
    """Split a data set that is one set, and write labels, groups, and the indices of samples that must not be drawn.

    `arrays` has, by the file name but for the split, an array of each set: those of LABELS_FILE and GROUPS_FILE tell
    what stays together. `share` of the samples, 0 to 1, become the test set. `duplicates`: "skip" draws no training
    sample that is a test sample too. `stratify`: are labels classes, of each of which a share is drawn? CrossquantError
    where there are too few samples to split.
    """
    if ALL in arrays[LABELS_FILE]:
        arrays = split_arrays(out, {name: of[ALL] for name, of in arrays.items()}, share, seed, stratify=stratify)
    for name, of in arrays.items():
        for split, array in of.items():
            if array is not None:
                np.save(out / name.format(split), array)
    train, test = (np.load(out / leakage.file(split)) for split in (TRAIN, TEST))
    np.save(out / "train_indices.npy", np.arange(len(train)))
    if duplicates == "skip":
        repeated = [train_index for train_index, _ in leakage.pairs(train, test)]
        np.save(out / sampling.SKIPPED, np.array(repeated, np.int64))


def split_arrays(
    out: Path, arrays: dict[str, Array | None], share: float, seed: int, *, stratify: bool
) -> dict[str, dict[str, Array | None]]:
    """Replace the arrays and digests of ALL by those of TRAIN and TEST; `arrays` of both."""
    digests = np.load(out / leakage.file(ALL))
    parts = split_indices(digests, arrays[LABELS_FILE], arrays[GROUPS_FILE], share, seed, stratify=stratify)
    splits = dict(zip((TRAIN, TEST), parts, strict=True))
    for split, indices in splits.items():
        for number, path in enumerate(sampling.array_paths(out, ALL)):
            copy_samples(path, indices, out / f"x_{split}_{number}.npy")
        np.save(out / leakage.file(split), digests[indices])
    for path in (*sampling.array_paths(out, ALL), out / leakage.file(ALL)):
        path.unlink()
    return {
        name: {split: None if each is None else each[indices] for split, indices in splits.items()}
        for name, each in arrays.items()
    }


def split_indices(
    digests: leakage.Digests, labels: Array | None, groups: Array | None, share: float, seed: int, *, stratify: bool
) -> tuple[Indices, Indices]:
    """Indices (train, test): `share` of each class for the test set, or of all where it isn't to `stratify`.

    Samples of a group stay together; where there are no groups, equal samples do.
    """
    if groups is None:
        groups = leakage.group_equal(digests)
    firsts = np.unique(groups, return_index=True)[1]
    has_classes = stratify and labels is not None and labels.ndim == 1
    classes = labels[firsts] if has_classes and labels is not None else np.zeros(len(firsts), np.int64)
    random = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        drawn.append(random.choice(members, count, replace=False))
    test = np.isin(groups, np.concatenate(drawn))
    if not test.any():
        problem = f"{len(digests)} samples can't be split into a training and a test set"
        if len(np.unique(classes)) == len(firsts) > MOST_ALONE:
            raise CrossquantError(f"{problem}: each has a label of its own: set data.task if they are no classes")
        raise CrossquantError(f"{problem}: give more")
    return np.flatnonzero(~test), np.flatnonzero(test)
