"""Paired shares of samples that have weights, such as those of their classes: fewer independent samples than there are.

As in driver/analysis/grouped_shares.py, counts are divided by a design effect, and are then tested as independent ones:
L. Kish, "Survey Sampling" (1965), section 11.2. Where few samples differ, nothing tells whether a loss is in samples of
large weights or of small ones, and all of it is taken to be in the largest ones. Resampling would be no better: it sees
no spread where no sample differs.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr, stdtrit

from driver.analysis.bootstrap import Doubles, Groups
from driver.analysis.grouped_shares import CONFIDENCE, FEWEST_DIFFERING
from driver.analysis.paired_shares import PairedCounts
from driver.analysis.tasks.base import Flags


def count_weighted(right: Flags, base_right: Flags, weights: Doubles) -> PairedCounts:
    """The table of pairs in which each sample counts as its weight; all are as many as there are samples."""
    scaled = weights * (len(weights) / weights.sum())
    tables = (right & base_right, base_right & ~right, right & ~base_right, ~right & ~base_right)
    return PairedCounts(*(float(scaled[table].sum()) for table in tables))


def discount(
    counts: PairedCounts, right: Flags, base_right: Flags, weights: Doubles, groups: Groups | None, level: float
) -> tuple[PairedCounts, float]:
    """The counts of as many independent samples as these are worth, and the level to test them at."""
    units = np.arange(len(weights)) if groups is None else np.unique(groups, return_inverse=True)[1]
    number = int(units.max(initial=-1)) + 1
    if number < 2:
        return counts.scale(0.0), level
    effect = find_design_effect(right.astype(np.float64) - base_right, weights, units)
    quantile = -float(stdtrit(number - 1, level))
    return counts.scale(1 / effect), level if groups is None else float(ndtr(-quantile))


def find_design_effect(difference: Doubles, weights: Doubles, units: NDArray[np.integer]) -> float:
    """By what the variance of the weighted difference is taken to be larger than that of independent samples; at least
    1, and at most what it is where the whole difference is in the units of the largest weight.

    `difference`, (samples,), is 1 where the variant alone is right and -1 where the reference alone is.
    """
    scaled = weights * (len(weights) / weights.sum())
    most = max(1.0, float(np.bincount(units, weights=scaled).max()))
    differing = len(np.unique(units[(difference != 0) & (weights > 0)]))
    if differing < FEWEST_DIFFERING:
        return most
    mean, number = float((scaled * difference).mean()), int(units.max()) + 1
    sums = np.bincount(units, weights=scaled * (difference - mean))
    between = number / (number - 1) * float(np.square(sums).sum())
    independent = float((scaled * np.square(difference)).sum()) - len(weights) * mean**2
    unsure = (differing - 1) / float(chdtri(differing - 1, CONFIDENCE))
    return min(most, max(1.0, unsure * between / independent)) if independent > 0 else most
