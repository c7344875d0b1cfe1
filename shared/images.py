"""Images as every framework sees them: one preprocessing, one way to batch, one way to draw by class."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IMAGES, LABELS = "images.npy", "labels.npy"  # of every artifact that holds images

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


def preprocess(images: NDArray[np.uint8]) -> Floats:
    """(n, height, width, channels) uint8 to the model's input: float32, the raw values 0-255, same layout."""
    return np.ascontiguousarray(images, dtype=np.float32)


def batches(path: Path, size: int) -> Iterator[Floats]:
    """Preprocessed batches of the uint8 images in the `.npy` file at `path`, in order; the last may be short.

    Memory doesn't grow with the number of images: each batch has a mapping of its own, gone with the batch, since the
    pages of one that stays would count as this process's as long as nothing else asks for them.
    """
    total = len(np.load(path, mmap_mode="r"))
    for start in range(0, total, size):
        yield preprocess(np.load(path, mmap_mode="r")[start : start + size])


def draw_by_class(labels: NDArray[np.uint8], per_class: int, random: np.random.Generator) -> Indices:
    """Indices of `per_class` images of each class, sorted. ValueError where a class has too few."""
    return draw_stratified(labels, per_class * len(np.unique(labels)), random)


def draw_stratified(labels: NDArray[np.uint8], images: int, random: np.random.Generator) -> Indices:
    """Indices of `images` images, sorted; as many of each class, or one more of the first. ValueError as above."""
    classes = np.unique(labels)
    each, more = divmod(images, len(classes))
    counts = [each + (number < more) for number in range(len(classes))]
    members = [np.flatnonzero(labels == label) for label in classes]
    return np.sort(np.concatenate([_draw(*pair, random) for pair in zip(members, counts, strict=True)]))


def _draw(members: Indices, count: int, random: np.random.Generator) -> Indices:
    if len(members) < count:
        raise ValueError(f"a class has {len(members)} images, {count} are asked for")
    return random.choice(members, count, replace=False)


def validation_split(labels: NDArray[np.uint8], images: int, seed: int) -> tuple[Indices, Indices]:
    """Indices (train, validation), disjoint; `images` of them for validation, the same number of each class."""
    per_class = images // len(np.unique(labels))
    validation = draw_by_class(labels, per_class, np.random.default_rng(seed))
    return np.setdiff1d(np.arange(len(labels)), validation), validation
