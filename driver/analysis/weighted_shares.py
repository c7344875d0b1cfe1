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
from driver.analysis.grouped_shares import CONFIDENCE, FEWEST_DIFFERING, MOST_WORTH
from driver.analysis.paired_shares import PairedCounts
from driver.analysis.tasks.base import Flags

WEIGHT_DIGITS = 9  # of weights that are the same but for rounding


def count_weighted(right: Flags, base_right: Flags, weights: Doubles) -> PairedCounts:
    """The table of pairs in which each sample counts as its weight; all are as many as there are samples."""
    scaled = scale_weights(weights)
    tables = (right & base_right, base_right & ~right, right & ~base_right, ~right & ~base_right)
    return PairedCounts(*(float(scaled[table].sum()) for table in tables))


def scale_weights(weights: Doubles) -> Doubles:
    """The weights with a mean of 1; all 0 where they are."""
    total = weights.sum()
    return weights * (len(weights) / total) if total > 0 else weights


def discount(
    counts: PairedCounts, right: Flags, base_right: Flags, weights: Doubles, groups: Groups | None, level: float
) -> tuple[PairedCounts, float]:
    """The counts of as many independent samples as these are worth, and the level to test them at."""
    units = np.arange(len(weights)) if groups is None else np.unique(groups, return_inverse=True)[1]
    number = int(units.max(initial=-1)) + 1
    if number < 2 or not weights.any():
        return counts.scale(0.0), level
    effect = find_design_effect(right.astype(np.float64) - base_right, weights, units)
    quantile = -float(stdtrit(number - 1, level))
    return counts.scale(1 / effect), level if groups is None else float(ndtr(-quantile))


def find_design_effect(difference: Doubles, weights: Doubles, units: NDArray[np.integer]) -> float:
    """By what the variance of the weighted difference is taken to be larger than that of independent samples; at least
    1, and at most what it is where the whole difference is in the units of the largest weight.

    `difference`, (samples,), is 1 where the variant alone is right and -1 where the reference alone is. Of each weight
    by itself few samples that differ tell nothing of the others, and a group counts as MOST_WORTH samples at most.
    """
    scaled, number = scale_weights(weights), int(units.max()) + 1
    sizes = np.bincount(units, weights=scaled)
    most = max(1.0, float(sizes.max()))
    differing = len(np.unique(units[(difference != 0) & (weights > 0)]))
    if differing < FEWEST_DIFFERING:
        return most
    mean = float((scaled * difference).mean())
    sums = np.bincount(units, weights=scaled * (difference - mean))
    between = number / (number - 1) * float(np.square(sums).sum())
    independent = float((scaled * np.square(difference)).sum()) - len(weights) * mean**2
    if independent <= 0:
        return most
    unsure = (differing - 1) / float(chdtri(differing - 1, CONFIDENCE))
    least = max(1.0, find_largest_unsure_weight(difference, scaled))
    if number < len(weights):
        least = max(least, float(np.square(sizes).sum()) / len(weights) / MOST_WORTH)
    return min(most, max(least, unsure * between / independent))


def find_largest_unsure_weight(difference: Doubles, scaled: Doubles) -> float:
    """The largest of the weights that few differing samples have: all of a loss may be in samples like these."""
    values, kinds = np.unique(np.round(scaled, WEIGHT_DIGITS), return_inverse=True)
    differing = np.bincount(kinds[difference != 0], minlength=len(values))
    return float(values[differing < FEWEST_DIFFERING].max(initial=0.0))
