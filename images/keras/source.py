"""A data set's own arrays: those of all its samples, before anything is drawn."""

from pathlib import Path

import numpy as np

from shared import samples
from shared.errors import CrossquantError
from shared.samples import Array, Indices


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


def stored(source: Path, indices: Indices) -> tuple[Array, ...]:
    """The training samples with these indices in the full training set, of which a sample holds only some."""
    kept = np.load(source / "train_indices.npy")
    if not np.isin(indices, kept).all():
        raise CrossquantError(
            "the embedded sample holds only the default calibration images: "
            "ask for no others, or get the full data set with `python -m driver fetch`"
        )
    places = np.searchsorted(kept, indices)
    return tuple(np.array(samples.mapped(path)[places]) for path in arrays(source, "train"))


def draw(source: Path, free: Indices, count: int, seed: int) -> Indices:
    """`count` of the training samples `free`, sorted: by class where there are classes. ValueError where too few."""
    random, known = np.random.default_rng(seed), labels(source)
    if known is not None and samples.about(source).task == "classification":
        return free[samples.draw_stratified(known[free], count, random)]
    if len(free) < count:
        raise ValueError(f"the data set has {len(free)} samples, {count} are asked for")
    return np.sort(random.choice(free, count, replace=False))


def write(source: Path, indices: Indices, out: Path) -> None:
    """The training samples with these indices as an artifact that holds samples."""
    known = labels(source)
    for number, array in enumerate(stored(source, indices)):
        np.save(out / samples.file(number), array)
    if known is not None:
        np.save(out / samples.LABELS, known[indices])
    (out / samples.ABOUT).write_text((source / samples.ABOUT).read_text())
