"""The arrays of a whole data set, and draws from its training samples."""

from pathlib import Path

import numpy as np

from images.keras.data.arrays import copy_samples
from shared.command import COMMAND
from shared.data import leakage, mates, samples
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError

SKIPPED = "skipped.npy"  # indices of training samples that must not be drawn, if the data set has such
DEFAULT_COUNT = 1000  # samples of a set, at most, where no number is given


def array_paths(source: Path, split: str) -> tuple[Path, ...]:
    """The arrays of the split `train` or `test`: one for each input of the model, in order."""
    count = len(list(source.glob(f"x_{split}_*.npy")))
    return tuple(source / f"x_{split}_{number}.npy" for number in range(count))


def load_train_labels(source: Path) -> Array | None:
    """The labels of the whole training set, (n,) or (n, k); None where it has none.

    The embedded sample has the labels of all training samples, and the arrays of only some.
    """
    path = source / "y_train.npy"
    return np.load(path) if path.exists() else None


def count_train_samples(source: Path) -> int:
    """The number of training samples of the whole data set."""
    labels = load_train_labels(source)
    return len(samples.mapped(array_paths(source, "train")[0])) if labels is None else len(labels)


def find_rows(source: Path, indices: Indices) -> Indices:
    """The rows of the arrays that hold the training samples `indices`: the embedded sample has only some of them.

    CrossquantError where one of them is not there.
    """
    stored = np.load(source / "train_indices.npy")
    if not np.isin(indices, stored).all():
        raise CrossquantError(
            "the embedded sample holds only the default calibration images: "
            f"ask for no others, or get the full data set with `{COMMAND} fetch`"
        )
    return np.searchsorted(stored, indices)


def drawable_indices(source: Path) -> Indices:
    """The indices of the training samples that may be drawn: all but those that the data set says to skip, sorted."""
    indices = np.arange(count_train_samples(source))
    return np.setdiff1d(indices, np.load(source / SKIPPED)) if (source / SKIPPED).exists() else indices


def draw_indices(source: Path, candidates: Indices, count: int, seed: int) -> Indices:
    """Draw `count` of the training samples `candidates`, sorted; evenly over the classes where there are classes.

    Samples of an embedding are drawn with their mates, so that one may be missing (shared/data/mates.py). A count of 0
    stands for all candidates, up to DEFAULT_COUNT. ValueError where there are too few.
    """
    count = count or min(DEFAULT_COUNT, len(candidates))
    if len(candidates) < max(1, count):
        raise ValueError(f"there are {len(candidates)} samples to draw from, ask for no more")
    random, labels, about = np.random.default_rng(seed), load_train_labels(source), samples.about(source)
    units = mates.number_units(about, labels)
    if units is not None:
        return np.sort(candidates[mates.draw_with_mates(units[candidates], count, random)])
    if labels is None or about.task != "classification":
        return np.sort(random.choice(candidates, count, replace=False))
    return candidates[draw_balanced(labels[candidates], count, random)]


def draw_balanced(labels: Array, count: int, random: np.random.Generator) -> Indices:
    """Positions of `count` of the labels, sorted: as many of each class, or all of a class that has fewer."""
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    counts = balance_counts([len(positions) for positions in members], count)
    return np.sort(np.concatenate([random.choice(*pair, replace=False) for pair in zip(members, counts, strict=True)]))


def balance_counts(sizes: list[int], count: int) -> list[int]:
    """Share `count` out over classes of these sizes: an equal number each, one more for the first classes.

    What a class is too small for goes to the others. `count` is at most the sum of the sizes.
    """
    counts, remaining = [0] * len(sizes), count
    while remaining:
        unfilled = [number for number, size in enumerate(sizes) if counts[number] < size]
        share, extra = divmod(remaining, len(unfilled))
        for position, number in enumerate(unfilled):
            added = min(share + (position < extra), sizes[number] - counts[number])
            counts[number] += added
            remaining -= added
    return counts


def write_samples(source: Path, indices: Indices, out: Path) -> None:
    """Write the training samples `indices`, in this order, as an artifact: arrays, labels and `about.json`.

    CrossquantError where one of them is a test sample too.
    """
    labels = load_train_labels(source)
    rows = find_rows(source, indices)
    refuse_leakage(source, indices, rows, out)
    for number, path in enumerate(array_paths(source, "train")):
        copy_samples(path, rows, out / samples.file(number))
    if labels is not None:
        np.save(out / samples.LABELS, labels[indices])
    (out / samples.ABOUT).write_text((source / samples.ABOUT).read_text())


def refuse_leakage(source: Path, indices: Indices, rows: Indices, out: Path) -> None:
    """CrossquantError where one of the training samples `indices`, which are in these rows, is a test sample too."""
    train, test = array_paths(source, "train"), array_paths(source, "test")
    if (source / leakage.file("train")).exists():
        digests = np.load(source / leakage.file("train"))[rows]
    else:
        digests = leakage.compute_digests(train, rows)
    leakage.refuse(artifact_name(out), indices, digests, leakage.digests(source, "test", test))


def artifact_name(out: Path) -> str:
    """The name of the artifact that is written in the folder `out`, without its extension."""
    return out.name.removeprefix(".").split(".")[0]
