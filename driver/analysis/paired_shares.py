"""Bounds for how much less a variant gets right than the reference, on the same samples: score tests of paired shares.

Counts are those of a table of pairs: both right, only the reference (the sample is lost), only the variant (won), both
wrong. A loss is positive where the variant is worse. It is either the `difference` of the two shares, or the difference
as a share of the reference's, which a `ratio` tells: 1 − variant / reference.

Sources: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
design", Statistics in Medicine 17 (1998), 891-908; N.-S. Tang, M.-L. Tang and I. S. F. Chan, "On tests of equivalence
via non-unity relative risk for matched-pair design", Statistics in Medicine 22 (2003), 1217-1233. Both restrict the
variance to the tested loss, so that they hold where few samples or none differ. Here half a sample is taken off as a
correction for continuity: without it, the exact level of a single test at 5 % is up to 5.8 % with 50 to 200 samples;
with it, it is 4.4 % at most (tests/unit/analysis/test_paired_shares.py counts all tables).
"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy.optimize import brentq
from scipy.special import ndtri

from driver.analysis.results import Interval

CONTINUITY = 0.5  # samples
NARROW = 1e-9  # of a loss, how exactly a bound is computed
POWER = 0.8  # of a test that is planned
Scale = Literal["difference", "ratio"]


@dataclass(frozen=True)
class PairedCounts:
    """A table of pairs. Counts may be fractions: where samples are in groups, fewer independent ones are as good."""

    both_right: float
    lost: float
    won: float
    both_wrong: float

    @property
    def samples(self) -> float:
        return self.both_right + self.lost + self.won + self.both_wrong

    @property
    def reference_right(self) -> float:
        return self.both_right + self.lost

    def swap(self) -> "PairedCounts":
        """The same with the two variants exchanged."""
        return PairedCounts(self.both_right, self.won, self.lost, self.both_wrong)

    def scale(self, factor: float) -> "PairedCounts":
        return PairedCounts(*(factor * count for count in (self.both_right, self.lost, self.won, self.both_wrong)))


def estimate_loss(counts: PairedCounts, scale: Scale) -> float:
    """The loss that was observed; 0 of no samples."""
    total = counts.reference_right if scale == "ratio" else counts.samples
    return (counts.lost - counts.won) / total if total else 0.0


def score(counts: PairedCounts, loss: float, scale: Scale, continuity: float = CONTINUITY) -> float:
    """How far below `loss` the observed one is, in standard deviations of a variant that loses just that much.

    Large values say that the loss is smaller. The variance is that of the likeliest shares with this loss. `loss` of a
    difference is from −1 to 1, of a ratio below 1.
    """
    if loss < 0:  # the reference is the worse one: by that much, or by that factor
        other = -loss if scale == "difference" else 1 - 1 / (1 - loss)
        return -score(counts.swap(), other, scale, -continuity)
    if scale == "ratio":
        return score_ratio(counts, 1 - loss, continuity)
    return score_difference(counts, loss, continuity)


def score_difference(counts: PairedCounts, loss: float, continuity: float) -> float:
    """Tango's statistic for a loss of 0 to 1.

    With p the share that is won, and p + loss the one that is lost, p is the root of a quadratic equation.
    """
    samples, lost, won = counts.samples, counts.lost, counts.won
    if not samples:
        return 0.0
    linear = lost + won - (2 * samples - lost + won) * loss
    root = math.sqrt(max(linear**2 + 8 * samples * won * loss * (1 - loss), 0.0))
    share_won = (root + linear) / (4 * samples)
    variance = samples * (2 * share_won + loss - loss**2)
    return divide(won - lost + samples * loss - continuity, variance)


def score_ratio(counts: PairedCounts, ratio: float, continuity: float) -> float:
    """The statistic of Tang, Tang and Chan for variant / reference = `ratio`, above 0 and at most 1.

    Samples that both get wrong say nothing about a ratio. Of the others, with q the share that is won, 1 − ratio +
    ratio · q is lost, and q is the root of a quadratic equation.
    """
    samples = counts.both_right + counts.lost + counts.won
    if not samples:
        return 0.0
    square = samples * ratio * (1 + ratio)
    linear = counts.both_right * (1 - ratio**2) - counts.lost * ratio**2 - counts.won * (2 * ratio**2 - 1)
    constant = -counts.won * ratio * (1 - ratio)
    share_won = (math.sqrt(max(linear**2 - 4 * square * constant, 0.0)) - linear) / (2 * square)
    variance = samples * ratio * (1 - ratio + (1 + ratio) * share_won)
    observed = counts.both_right + counts.won - ratio * counts.reference_right
    return divide(observed - continuity, variance)


def divide(difference: float, variance: float) -> float:
    """A difference in standard deviations; of nothing that varies, endless on its side."""
    if variance > 0:
        return difference / math.sqrt(variance)
    return math.copysign(math.inf, difference) if difference else 0.0


def bound_loss(counts: PairedCounts, scale: Scale, level: float) -> Interval:
    """The lower and the upper bound of the loss, each one-sided at `level`: the losses that a test doesn't refuse.

    Of no samples, or where the reference gets nothing right and a ratio means nothing, all that is possible.
    """
    if not (counts.reference_right if scale == "ratio" else counts.samples):
        return Interval(-math.inf, 1.0)
    high, other = (find_upper_bound(table, scale, level) for table in (counts, counts.swap()))
    if scale == "difference":
        return Interval(-other, high)
    return Interval(1 - 1 / (1 - other) if other < 1 else -math.inf, high)


def find_upper_bound(counts: PairedCounts, scale: Scale, level: float) -> float:
    """The least loss whose score is above the quantile of `level`; 1 where none is."""
    quantile = -float(ndtri(level))

    def distance(loss: float) -> float:
        return min(max(score(counts, loss, scale) - quantile, -1e6), 1e6)

    most, least = 1 - NARROW, estimate_loss(counts, scale)
    if scale == "difference":
        least = max(least, -most)
    elif not counts.reference_right:  # whatever the variant gets right is endlessly more
        least = -1 / NARROW
    if distance(most) <= 0:
        return 1.0
    return float(brentq(distance, least, most, xtol=NARROW))


def find_samples_needed(counts: PairedCounts, limit: float, scale: Scale, level: float) -> int | None:
    """How many samples would show with a power of 80 % that the loss is below `limit`, if it is what was observed.

    None where it isn't below. The score grows with the root of the number of samples.
    """
    distance = score(counts, limit, scale, 0.0)
    if distance <= 0 or math.isinf(distance):
        return None
    needed = counts.samples * ((-float(ndtri(level)) + float(ndtri(POWER))) / distance) ** 2
    return math.ceil(needed)


def find_smallest_loss(samples: float, discordant_share: float, level: float, accuracy: float = 1.0) -> float:
    """The smallest tolerance, as a difference of shares, that a variant can be shown to hold that loses nothing.

    `discordant_share` (0-1) of the samples are right for just one of the two, half of them for each.
    """
    differing = samples * discordant_share
    same = samples - differing
    counts = PairedCounts(same * accuracy, differing / 2, differing / 2, same * (1 - accuracy))
    return find_upper_bound(counts, "difference", level)
