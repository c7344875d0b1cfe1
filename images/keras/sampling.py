"""A data set's own arrays: those of all its samples, before anything is drawn."""

from pathlib import Path

import numpy as np

from images.keras.data.arrays import copy
from shared.command import COMMAND
from shared.data import leakage, samples
from shared.data.samples import Array, Indices
from shared.errors import CrossquantError

SKIPPED = "skipped.npy"  # training samples that are not to be drawn, if the data set has such
USUAL = 1000  # samples of a set, at most, where no number is given


def arrays(source: Path, split: str) -> tuple[Path, ...]:
    """The arrays of `train` or `test`, one an input of the model, in order."""
    count = len(list(source.glob(f"x_{split}_*.npy")))
    return tuple(source / f"x_{split}_{number}.npy" for number in range(count))


def labels(source: Path) -> Array | None:
    """Those of the training set, of which a sample has them all; None where there are none."""
    path = source / "y_train.npy"
    return np.load(path) if path.exists() else None


def total(source: Path) -> int:
    """How many training samples the whole data set has."""
    known = labels(source)
    return len(samples.mapped(arrays(source, "train")[0])) if known is None else len(known)


def places(source: Path, indices: Indices) -> Indices:
    """Where the training samples with these indices are in the arrays, of which a sample holds only some."""
    kept = np.load(source / "train_indices.npy")
    if not np.isin(indices, kept).all():
        raise CrossquantError(
            "the embedded sample holds only the default calibration images: "
            f"ask for no others, or get the full data set with `{COMMAND} fetch`"
        )
    return np.searchsorted(kept, indices)


def drawable(source: Path) -> Indices:
    """The training samples that may be drawn: all, without those that the data set says to skip."""
    every = np.arange(total(source))
    return np.setdiff1d(every, np.load(source / SKIPPED)) if (source / SKIPPED).exists() else every


def draw(source: Path, free: Indices, count: int, seed: int) -> Indices:
    """`count` of the training samples `free`, sorted: by class where there are classes. ValueError where too few.

    A count of 0 stands for as many as there are, up to USUAL.
    """
    count = count or min(USUAL, len(free))
    if len(free) < max(1, count):
        raise ValueError(f"there are {len(free)} samples to draw from, ask for no more")
    random, known = np.random.default_rng(seed), labels(source)
    if known is None or samples.about(source).task != "classification":
        return np.sort(random.choice(free, count, replace=False))
    return free[draw_even(known[free], count, random)]


def draw_even(known: Array, count: int, random: np.random.Generator) -> Indices:
    """Indices of `count` samples, sorted; as many of each class, or all of a class that has fewer."""
    members = [np.flatnonzero(known == label) for label in np.unique(known)]
    counts = even([len(one) for one in members], count)
    return np.sort(np.concatenate([random.choice(*pair, replace=False) for pair in zip(members, counts, strict=True)]))


def even(sizes: list[int], count: int) -> list[int]:
    """`count` shared out: the same for each, one more for the first, and what is too much for one to the others."""
    counts, left = [0] * len(sizes), count
    while left:
        open_ones = [number for number, size in enumerate(sizes) if counts[number] < size]
        each, more = divmod(left, len(open_ones))
        for place, number in enumerate(open_ones):
            given = min(each + (place < more), sizes[number] - counts[number])
            counts[number] += given
            left -= given
    return counts


def write(source: Path, indices: Indices, out: Path) -> None:
    """The training samples with these indices as an artifact that holds samples. CrossquantError if some are test's."""
    train, known = arrays(source, "train"), labels(source)
    where = places(source, indices)
    refuse_leakage(source, indices, where, out)
    for number, path in enumerate(train):
        copy(path, where, out / samples.file(number))
    if known is not None:
        np.save(out / samples.LABELS, known[indices])
    (out / samples.ABOUT).write_text((source / samples.ABOUT).read_text())


def refuse_leakage(source: Path, indices: Indices, where: Indices, out: Path) -> None:
    train, test = arrays(source, "train"), arrays(source, "test")
    if (source / leakage.file("train")).exists():
        drawn = np.load(source / leakage.file("train"))[where]
    else:
        drawn = leakage.computed(train, where)
    leakage.refuse(what(out), indices, drawn, leakage.digests(source, "test", test))


def what(out: Path) -> str:
    """The name of the artifact that is being made in the folder `out`."""
    return out.name.removeprefix(".").split(".")[0]
