"""Which samples train and which test, where the user's data doesn't say, and which must not be drawn."""

from pathlib import Path

import numpy as np

from images.keras import sampling
from images.keras.data import arrays
from images.keras.data.sample_sets import ALL, TEST, TRAIN
from shared.data import leakage
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError


def finish(out: Path, labels: dict[str, Array | None], share: float, seed: int, duplicates: str) -> None:
    """Split what is one set, and write the labels and which training samples may be drawn."""
    if ALL in labels:
        digests = np.load(out / leakage.file(ALL))
        parts = dict(zip((TRAIN, TEST), divided(digests, labels[ALL], share, seed), strict=True))
        for split, indices in parts.items():
            for number, path in enumerate(sampling.arrays(out, ALL)):
                arrays.copy(path, indices, out / f"x_{split}_{number}.npy")
            np.save(out / leakage.file(split), digests[indices])
        for path in (*sampling.arrays(out, ALL), out / leakage.file(ALL)):
            path.unlink()
        every = labels[ALL]
        labels = {split: None if every is None else every[indices] for split, indices in parts.items()}
    for split, array in labels.items():
        if array is not None:
            np.save(out / f"y_{split}.npy", array)
    train, test = (np.load(out / leakage.file(split)) for split in (TRAIN, TEST))
    np.save(out / "train_indices.npy", np.arange(len(train)))
    if duplicates == "skip":
        np.save(out / sampling.SKIPPED, np.array([one for one, _ in leakage.pairs(train, test)], np.int64))


def divided(digests: leakage.Digests, labels: Array | None, share: float, seed: int) -> tuple[Indices, Indices]:
    """Indices (train, test): `share` of each class for the test; samples that are alike stay together."""
    groups = leakage.groups(digests)
    firsts = np.unique(groups, return_index=True)[1]
    classes = np.zeros(len(firsts), np.int64) if labels is None or labels.ndim > 1 else labels[firsts]
    random = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen.append(random.choice(members, count, replace=False))
    test = np.isin(groups, np.concatenate(chosen))
    if not test.any():
        raise CrossquantError(f"{len(digests)} samples can't be split into a training and a test set: give more")
    return np.flatnonzero(~test), np.flatnonzero(test)
