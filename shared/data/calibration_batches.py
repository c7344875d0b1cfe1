"""Reads the samples that a quantizer takes its ranges from, and checks that there are some and that all are finite."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from shared.data import samples
from shared.data.samples import LARGEST, Batch
from shared.errors import CrossquantError

BATCH = 100  # samples
EMPTY = "the calibration set is empty: raise calibration.images"


def check(folder: Path) -> None:
    """Check all samples before a quantizer that accepts NaN without an error. CrossquantError as in `batches`."""
    for _ in batches(folder, BATCH):
        pass


def batches(folder: Path, size: int, largest: int = LARGEST, each: int = 0) -> Iterator[Batch]:
    """Yield all samples in batches that fit in memory, as `samples.fitting` counts. CrossquantError names the first
    that has NaN or infinity, or says that there are none.
    """
    done = 0
    for batch in samples.batches(folder, samples.fitting(folder, size, largest, each)):
        bad = np.flatnonzero(~samples.finite(batch))
        if bad.size:
            raise CrossquantError(f"calibration sample {done + bad[0]} has NaN or infinity: fix it or leave it out")
        yield batch
        done += len(batch[0])
    if not done:
        raise CrossquantError(EMPTY)
