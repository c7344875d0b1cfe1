"""The samples of a set as NNCF takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import CrossquantError
from shared.images import IMAGES, Floats, batches
from shared.progress import report


@dataclass(frozen=True)
class Samples:
    """Those of the artifact `folder`, `size` at a time, an array for each input; memory doesn't grow with their number.

    NNCF takes the extremes of each batch by itself: of one sample at a time, as its authors advise, since a larger
    batch gives wider ranges.
    """

    folder: Path
    size: int = 1

    @property
    def count(self) -> int:
        return len(np.load(self.folder / IMAGES, mmap_mode="r"))

    def __len__(self) -> int:
        return -(-self.count // self.size)

    def __iter__(self) -> Iterator[list[Floats]]:
        for number, batch in enumerate(batches(self.folder / IMAGES, self.size)):
            report(number, len(self))
            yield [batch]

    def check(self) -> None:
        """CrossquantError where there are none, or one has NaN or infinity, of which NNCF makes ranges in silence."""
        if not self.count:
            raise CrossquantError("the calibration set is empty: raise calibration.images")
        for number, [batch] in enumerate(self):
            if not np.isfinite(batch).all():
                raise CrossquantError(f"calibration image {number} has NaN or infinity: mend it or leave it out")
