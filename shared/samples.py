"""Samples as every framework sees them: one array an input of the model, one way to batch, one way to draw."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.contract import decode
from shared.errors import CrossquantError, FieldError

LABELS, ABOUT = "labels.npy", "about.json"
FLOAT = "float32"
LARGEST = 1 << 24  # bytes of the inputs of one batch: what a model makes of them meanwhile is many times that
LARGEST_KEPT = LARGEST // 4  # where every tensor of the model is kept for a while
COMPUTED = (
    64  # times as many bytes may all the tensors take that are computed of a batch: 1 GiB, 256 MiB where all stay
)

Task = Literal["classification", "multilabel", "regression", "reconstruction", "fidelity"]
Array = NDArray[Any]
Batch = tuple[Array, ...]  # an array for each input, or output, of the model; all of one length
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class About:
    """`about.json` of an artifact that holds samples.

    `classes` names the classes, or the labels of a multi-label task. `dtypes` is what each input is cast to as it is
    read, the types that the model takes; float32 where nothing is said. The task judges the output number `judged`.
    `unit` is what a person calls the samples: images, rows.
    """

    name: str = ""
    sample: bool = False
    classes: tuple[str, ...] = ()
    task: Task = "classification"
    dtypes: tuple[str, ...] = ()
    judged: int = 0
    unit: str = "images"


def file(number: int) -> str:
    """The array of the model's input, or output, of this number."""
    return f"input_{number}.npy"


def inputs(folder: Path) -> tuple[Path, ...]:
    """The arrays in `folder`, in the order of the model's inputs."""
    found = tuple(folder / file(number) for number in range(len(list(folder.glob("input_*.npy")))))
    if not found:
        raise CrossquantError(f"{folder.name} holds no samples: delete {folder} and run again")
    return found


def count(folder: Path) -> int:
    """How many samples there are."""
    return len(mapped(inputs(folder)[0]))


def about(folder: Path) -> About:
    """What the samples are. CrossquantError names the field that is wrong."""
    path = folder / ABOUT
    try:
        found: About = decode(About, json.loads(path.read_text()) if path.exists() else {})
    except FieldError as error:
        raise CrossquantError(f"{path}: {error}: delete {folder} and run again") from None
    return found


def labels(folder: Path) -> Array | None:
    """(n,) or (n, values); None where the samples have none."""
    return np.load(folder / LABELS) if (folder / LABELS).exists() else None


def mapped(path: Path) -> Array:
    """The array of a `.npy` file, read as it is needed."""
    found: Array = np.load(path, mmap_mode="r")
    return found


def take(folder: Path, where: slice | Indices) -> Batch:
    """The samples there, as the model takes them: cast, in C order, and in memory."""
    dtypes = about(folder).dtypes
    arrays = []
    for number, path in enumerate(inputs(folder)):
        dtype = dtypes[number] if number < len(dtypes) else FLOAT
        arrays.append(np.array(mapped(path)[where], dtype=dtype, order="C"))
    return tuple(arrays)


def batches(folder: Path, size: int) -> Iterator[Batch]:
    """All samples, in order; the last batch may be short.

    Memory doesn't grow with the number of samples: each batch has a mapping of its own, gone with the batch, since the
    pages of one that stays would count as this process's as long as nothing else asks for them.
    """
    total = count(folder)
    for start in range(0, total, size):
        yield take(folder, slice(start, start + size))


def fitting(folder: Path, size: int, largest: int = LARGEST, each: int = 0) -> int:
    """`size` samples for a batch, or fewer, one at least, where they are larger than `largest` bytes together.

    So are their tensors, `each` bytes a sample (shared/memory.py), limited to COMPUTED times `largest`.
    """
    one = sum(array.nbytes for array in take(folder, slice(1)))
    return min(size, max(1, largest // max(1, one)), max(1, int(COMPUTED * largest / max(1, each))))


def finite(batch: Batch) -> NDArray[np.bool_]:
    """(n,): has the sample neither NaN nor infinity?"""
    sound = np.ones(len(batch[0]), np.bool_)
    for array in batch:
        sound &= np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return sound


def draw_by_class(labels: Array, per_class: int, random: np.random.Generator) -> Indices:
    """Indices of `per_class` samples of each class, sorted. ValueError where a class has too few."""
    return draw_stratified(labels, per_class * len(np.unique(labels)), random)


def draw_stratified(labels: Array, samples: int, random: np.random.Generator) -> Indices:
    """Indices of `samples` samples, sorted; as many of each class, or one more of the first. ValueError as above."""
    classes = np.unique(labels)
    each, more = divmod(samples, len(classes))
    counts = [each + (number < more) for number in range(len(classes))]
    members = [np.flatnonzero(labels == label) for label in classes]
    return np.sort(np.concatenate([_draw(*pair, random) for pair in zip(members, counts, strict=True)]))


def _draw(members: Indices, count: int, random: np.random.Generator) -> Indices:
    if len(members) < count:
        raise ValueError(f"a class has {len(members)} samples, {count} are asked for")
    return random.choice(members, count, replace=False)


def validation_split(labels: Array, images: int, seed: int) -> tuple[Indices, Indices]:
    """Indices (train, validation), disjoint; `images` of them for validation, the same number of each class."""
    per_class = images // len(np.unique(labels))
    validation = draw_by_class(labels, per_class, np.random.default_rng(seed))
    return np.setdiff1d(np.arange(len(labels)), validation), validation
