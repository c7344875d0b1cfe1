"""The samples that a quantizer takes its ranges from: each of them must be sound, and there must be some."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shared.data import samples
from shared.data.samples import LARGEST, Batch
from shared.errors import CrossquantError

BATCH = 100  # samples
EMPTY = "the calibration set is empty: raise calibration.images"


def check(folder: Path) -> None:
    """Before a quantizer that takes NaN for a range without a word. CrossquantError as `batches` has it."""
    for _ in batches(folder, BATCH):
        pass


def batches(folder: Path, size: int, largest: int = LARGEST, each: int = 0) -> Iterator[Batch]:
    """All samples, in batches that memory holds (as `samples.fitting` has it). CrossquantError names the first that has
    NaN or infinity.
    """
    done = 0
    for batch in samples.batches(folder, samples.fitting(folder, size, largest, each)):
        bad = np.flatnonzero(~samples.finite(batch))
        if bad.size:
            raise CrossquantError(f"calibration sample {done + bad[0]} has NaN or infinity: mend it or leave it out")
        yield batch
        done += len(batch[0])
    if not done:
        raise CrossquantError(EMPTY)
