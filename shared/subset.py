"""Some images of a file, enough to look at a model by."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.images import Floats, Indices, preprocess


@dataclass(frozen=True)
class Subset:
    """`count` images of the `.npy` file `path`, evenly spaced, since a set may be sorted by class."""

    path: Path
    count: int

    @property
    def positions(self) -> Indices:
        total = len(np.load(self.path, mmap_mode="r"))
        return np.linspace(0, total - 1, min(self.count, total)).round().astype(np.int64)

    def batches(self, size: int) -> Iterator[Floats]:
        """Preprocessed batches, in order; memory doesn't grow with the number of images."""
        positions = self.positions
        for start in range(0, len(positions), size):
            yield preprocess(np.load(self.path, mmap_mode="r")[positions[start : start + size]])
