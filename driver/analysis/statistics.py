"""How sure a comparison on the same test images is: intervals, paired tests, and what a test set of this size can tell.

SciPy's methods where it has one. A share is 0-1; a difference is in percentage points (pp), variant minus reference.
All arrays have one entry an image, in the same order.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from driver.analysis.results import Confused, Count, Interval, Paired

Right = NDArray[np.bool_]
Classes = NDArray[np.integer[Any]]


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share, 0-1; of no images, all of it.

    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American Statistical
    Association 22 (1927), 209-212. `scipy.stats.binomtest` has it too, but always computes a test beside it.
    """
    if total == 0:
        return Interval(0.0, 1.0)
    share, z = successes / total, upper_quantile((1 - confidence) / 2)
    scale = 1 + z**2 / total
    centre = (share + z**2 / (2 * total)) / scale
    half_width = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / scale
    return Interval(max(0.0, centre - half_width), min(1.0, centre + half_width))


def upper_quantile(share: float) -> float:
    """Return the value that a standard normal variable exceeds with this probability."""
    return -float(ndtri(share))


def pair_answers(reference_right: Right, variant_right: Right, confidence: float = 0.95) -> Paired:
    """Which answers are right, of the reference and of the variant. Of no images, nothing is known."""
    both_right = int(np.count_nonzero(reference_right & variant_right))
    only_reference = int(np.count_nonzero(reference_right & ~variant_right))
    only_variant = int(np.count_nonzero(~reference_right & variant_right))
    both_wrong = len(reference_right) - both_right - only_reference - only_variant
    [p_value] = exact_mcnemar(np.array([only_reference]), np.array([only_variant]))
    return make_paired((both_right, only_reference, only_variant, both_wrong), p_value, confidence)


def make_paired(table: tuple[int, int, int, int], p_value: float, confidence: float = 0.95) -> Paired:
    """Return the counts, in the order of `newcombe`, with their difference, its interval and McNemar's p-value."""
    _, only_reference, only_variant, _ = table
    return Paired(
        *table,
        delta_pp=100 * (only_variant - only_reference) / max(sum(table), 1),
        interval_pp=newcombe_interval(*table, confidence),
        p_value=p_value,
    )


def newcombe_interval(
    both_right: int, only_reference: int, only_variant: int, both_wrong: int, confidence: float = 0.95
) -> Interval:
    """Of the difference of two paired shares, in pp: Wilson's intervals, squared and added with their correlation.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998), 2635-2650, method 10. SciPy has no interval for paired shares.
    """
    total = both_right + only_reference + only_variant + both_wrong
    if total == 0:
        return Interval(-100.0, 100.0)
    variant, reference = both_right + only_variant, both_right + only_reference
    share_v, share_r = variant / total, reference / total
    around_v, around_r = wilson_interval(variant, total, confidence), wilson_interval(reference, total, confidence)
    phi = paired_correlation(both_right, only_reference, only_variant, both_wrong)

    def distance(one: float, other: float) -> float:
        return math.sqrt(one**2 - 2 * phi * one * other + other**2)

    down = distance(share_v - around_v.low, around_r.high - share_r)
    up = distance(around_v.high - share_v, share_r - around_r.low)
    return Interval(100 * (share_v - share_r - down), 100 * (share_v - share_r + up))


def paired_correlation(both_right: int, only_reference: int, only_variant: int, both_wrong: int) -> float:
    """Newcombe's phi: a positive one is corrected for continuity by half an image; 0 where a margin is empty."""
    margins = (
        (both_right + only_variant)
        * (both_right + only_reference)
        * (only_reference + both_wrong)
        * (only_variant + both_wrong)
    )
    if margins == 0:
        return 0.0
    total = both_right + only_reference + only_variant + both_wrong
    product = both_right * both_wrong - only_reference * only_variant
    corrected = max(product - total / 2, 0.0) if product > 0 else product
    return corrected / math.sqrt(margins)


def holm_p_values(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected as one family, in the same order.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in corrected]


def confusion_matrix(top: Classes, labels: Classes, classes: int) -> NDArray[np.int64]:
    """How many images, (classes, classes): a row is a label, a column an answer (`top`), as scikit-learn has it."""
    cells = np.ravel_multi_index((labels.astype(np.intp), top.astype(np.intp)), (classes, classes))
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def find_confused_pairs(top: Classes, labels: Classes, most: int) -> list[Confused]:
    """The pairs of a class and what it is taken for that occur most; of equals the first. No table is made."""
    wrong = top != labels
    pairs, counts = np.unique(np.stack([labels[wrong], top[wrong]]).astype(np.int64), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [Confused(int(pairs[0, place]), int(pairs[1, place]), int(counts[place])) for place in order]


def count_per_class(top: Classes, labels: Classes, classes: int) -> list[Count]:
    """For each class, of its images those whose answer (`top`, a class an image) is right."""
    totals = np.bincount(labels.astype(np.intp), minlength=classes)
    rights = np.bincount(labels[top == labels].astype(np.intp), minlength=classes)
    return [Count(int(right), int(total)) for right, total in zip(rights, totals, strict=True)]


def find_losing_classes(
    reference_right: Right, variant_right: Right, labels: Classes, classes: int
) -> list[tuple[int, Paired]]:
    """Classes of which the variant gets fewer right than the reference, the surest loss first.

    All classes that have images are one family for Holm, so that `p_holm` is honest about how many were looked at.
    """
    places = labels.astype(np.intp)
    kinds = (reference_right & variant_right, reference_right & ~variant_right, ~reference_right & variant_right)
    both_right, lost, won = (np.bincount(places[kind], minlength=classes) for kind in kinds)
    totals = np.bincount(places, minlength=classes)
    tables = np.stack([both_right, lost, won, totals - both_right - lost - won], axis=1)
    present = np.flatnonzero(totals)
    p_values = exact_mcnemar(lost[present], won[present])
    losing = []
    for label, p_value, p_holm in zip(present.tolist(), p_values, holm_p_values(p_values), strict=True):
        both, only_reference, only_variant, neither = tables[label].tolist()
        if only_reference > only_variant:
            pairs = make_paired((both, only_reference, only_variant, neither), p_value)
            losing.append((label, replace(pairs, p_holm=p_holm)))
    return sorted(losing, key=lambda item: (item[1].p_value, item[1].delta_pp))


def exact_mcnemar(lost: Classes, won: Classes) -> list[float]:
    """Return the two-sided p-value of McNemar's exact test for each pair of discordant counts; 1 where both are 0.

    Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data", BMC Medical Research Methodology
    13:91 (2013): the exact conditional test.
    """
    p_values = np.minimum(1.0, 2 * binom.cdf(np.minimum(lost, won), lost + won, 0.5))
    return [float(p) for p in p_values]
