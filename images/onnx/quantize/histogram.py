"""Histograms of tensors, filled batch by batch, with bins that are fixed beforehand.

ONNX Runtime's own collector keeps every activation of every image until the end (256 GB for some models), and its bins
depend on the batches. With the ranges from a first pass, the second pass needs 2,048 numbers per tensor.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
BLOCK = 1 << 16  # values at a time: they stay in the CPU's cache, which is five times as fast as np.histogram


@dataclass(frozen=True)
class Histogram:
    """`counts` (bins,) int64 of values in [low, high], or of magnitudes if `absolute`."""

    counts: NDArray[np.int64]
    low: float
    high: float
    absolute: bool

    @classmethod
    def empty(cls, bins: int, least: float, greatest: float, absolute: bool) -> "Histogram":
        """Make an empty histogram for values from `least` to `greatest`: over [-m, m], m the greatest magnitude, or [0,
        m].
        """
        high = max(abs(least), abs(greatest)) or 1.0
        return cls(np.zeros(bins, np.int64), 0.0 if absolute else -high, high, absolute)

    @property
    def edges(self) -> Floats:
        """The bounds of the bins, (bins + 1,) float32."""
        return np.linspace(self.low, self.high, len(self.counts) + 1, dtype=np.float32)

    def add(self, values: Floats) -> None:
        """Count these values, an array of any shape within the range."""
        flat, bins = values.reshape(-1), len(self.counts)
        scale, low = np.float32(bins / (self.high - self.low)), np.float32(self.low)
        for start in range(0, flat.size, BLOCK):
            block = flat[start : start + BLOCK]
            block = np.abs(block) if self.absolute else block - low
            bin_indices = np.minimum((block * scale).astype(np.int64), bins - 1)
            self.counts[:] += np.bincount(bin_indices, minlength=bins)
