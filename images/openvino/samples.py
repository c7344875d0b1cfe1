"""Calibration samples as NNCF takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.data import samples
from shared.data.samples import Array
from shared.runner.progress import report


@dataclass(frozen=True)
class Calibration:
    """The samples in `folder`, one at a time, an array per input; memory doesn't grow with their number.

    NNCF takes the extremes of each batch by itself. Its authors advise batches of one sample, since larger ones widen
    the ranges.
    """

    folder: Path

    def __len__(self) -> int:
        return samples.count(self.folder)

    def __iter__(self) -> Iterator[list[Array]]:
        for number, batch in enumerate(samples.batches(self.folder, 1)):
            report(number, len(self))
            yield list(batch)
