"""A calibration set is checked before a quantizer reads it: finite, not empty, in batches that fit in memory."""

from pathlib import Path

import numpy as np
import pytest

from shared.data import calibration_batches, samples
from shared.data.subset import Subset
from shared.errors import CrossquantError


def keep(folder: Path, count: int, size: int = 4) -> np.ndarray:
    stored = np.arange(count * size, dtype=np.float32).reshape(count, size)
    np.save(folder / "input_0.npy", stored)
    return stored


def test_all_samples_come_in_their_order(tmp_path: Path):
    stored = keep(tmp_path, 7)
    batches = [batch for [batch] in calibration_batches.batches(tmp_path, 3)]
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert (np.concatenate(batches) == stored).all()
    calibration_batches.check(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_that_is_not_finite_is_named_by_its_place_in_the_set(bad: float, tmp_path: Path):
    stored = keep(tmp_path, 250)
    stored[[207, 230], 1] = bad
    np.save(tmp_path / "input_0.npy", stored)
    with pytest.raises(CrossquantError, match=r"^calibration sample 207 has NaN or infinity: fix it or leave it out$"):
        calibration_batches.check(tmp_path)


def test_an_empty_set_is_refused(tmp_path: Path):
    keep(tmp_path, 0)
    with pytest.raises(CrossquantError, match=r"^the calibration set is empty: raise calibration\.images$"):
        calibration_batches.check(tmp_path)


@pytest.mark.parametrize(("largest", "size"), [(1, 1), (32, 2), (1 << 20, 5)])
def test_large_samples_come_in_smaller_batches(largest: int, size: int, tmp_path: Path):
    """A sample has 16 bytes."""
    keep(tmp_path, 20)
    assert len(next(calibration_batches.batches(tmp_path, 5, largest))[0]) == size
    assert next(len(batch) for [batch] in Subset(tmp_path, 5).batches(5, largest)) == size
    assert sum(len(batch) for [batch] in Subset(tmp_path, 5).batches(5, largest)) == 5
    assert samples.fitting(tmp_path, 5, largest) == size
