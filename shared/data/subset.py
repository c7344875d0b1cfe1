"""Some samples of a set: evenly spaced, or with their mates where they are compared with each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data import mates, samples
from shared.data.samples import LARGEST, Array, Batch, Indices


@dataclass(frozen=True)
class Subset:
    """`count` samples of the artifact in `folder`, evenly spaced, since a set may be sorted by class.

    Those of an embedding, whose labels are there too, are drawn with their mates.
    """

    folder: Path
    count: int

    @property
    def positions(self) -> Indices:
        units = mates.number_units(samples.about(self.folder), samples.labels(self.folder))
        if units is not None:
            return np.sort(mates.draw_with_mates(units, self.count, np.random.default_rng(mates.SEED)))
        total = samples.count(self.folder)
        return np.linspace(0, total - 1, min(self.count, total)).round().astype(np.int64)

    @property
    def labels(self) -> Array | None:
        labels = samples.labels(self.folder)
        return None if labels is None else labels[self.positions]

    def batches(self, size: int, largest: int = LARGEST, each: int = 0) -> Iterator[Batch]:
        """Yield them in order, `size` at a time or as many as fit in memory, as `samples.fitting` counts."""
        positions, size = self.positions, samples.fitting(self.folder, size, largest, each)
        for start in range(0, len(positions), size):
            yield samples.take(self.folder, positions[start : start + size])
