"""Paired shares of samples that come in groups, such as the frames of one video: fewer independent samples than there
are.

Rao and Scott, "A simple method for the analysis of clustered binary data", Biometrics 48 (1992), 577-585: all counts
are divided by the design effect, the variance between groups over that of independent samples, and are then tested as
independent ones. It is the upper bound of that effect that is taken here: a loss that comes in bursts shows few of
them. For pairs: N. A. Obuchowski, "On the comparison of correlated proportions for clustered data", Statistics in
Medicine 17 (1998), 1495-1507. The quantile is Student's, with a degree of freedom less than groups.
"""

import numpy as np
from scipy.special import chdtri, ndtr, stdtrit

from driver.analysis.bootstrap import Groups, count_groups
from driver.analysis.paired_shares import PairedCounts
from driver.analysis.tasks.base import Flags

CONFIDENCE = 0.95  # of the upper bound of the design effect, which is an estimated variance
FEWEST_DIFFERING = 50  # groups with a sample that differs: fewer don't tell how alike the samples of a group are
# A group counts as so many independent samples at most, however little alike its samples look: where a few groups make
# the loss, as whole bursts, those that were drawn may hold none of it (docs/decision.md has what it would err by).
MOST_WORTH = 2


def discount(counts: PairedCounts, won: Flags, lost: Flags, groups: Groups, level: float) -> tuple[PairedCounts, float]:
    """The counts of as many independent samples as the groups are worth, and the level to test them at.

    `won` and `lost` say of each sample, (samples,), which of the two alone gets it right.
    """
    number = count_groups(groups)
    if number < 2:
        return counts.scale(0.0), level
    quantile = -float(stdtrit(number - 1, level))
    return counts.scale(1 / find_design_effect(won, lost, groups)), float(ndtr(-quantile))


def find_design_effect(won: Flags, lost: Flags, groups: Groups) -> float:
    """By what the variance of the difference is taken to be larger than that of independent samples; at least 1.

    It is at least what makes a group worth MOST_WORTH samples. Where few groups differ, samples of a group are taken to
    be all alike: that is the most that it can be.
    """
    sizes = np.bincount(groups, minlength=count_groups(groups)).astype(np.float64)
    most = float(np.square(sizes).sum() / len(groups))
    differing = np.unique(groups[won | lost])
    if len(differing) < FEWEST_DIFFERING:
        return max(1.0, most)
    return max(1.0, most / MOST_WORTH, min(bound_design_effect(won, lost, groups), most))


def bound_design_effect(won: Flags, lost: Flags, groups: Groups) -> float:
    """The upper bound, at CONFIDENCE, of the estimate from the sums over the groups, of which some must differ."""
    number = count_groups(groups)
    sizes = np.bincount(groups, minlength=number).astype(np.float64)
    difference = won.astype(np.float64) - lost
    sums = np.bincount(groups, weights=difference, minlength=number)
    mean = difference.mean()
    between = number / (number - 1) * np.square(sums - sizes * mean).sum()
    independent = np.square(difference - mean).sum()
    freedom = len(np.unique(groups[won | lost])) - 1
    return float(freedom / chdtri(freedom, CONFIDENCE) * between / independent)
