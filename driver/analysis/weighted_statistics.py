"""The metrics of each task as functions of weights, (samples, resamples): see driver/analysis/bootstrap.py.

Most are made of sums over the samples, so that a resample is one product of matrices, and the influence of a sample is
what a step of the means towards it changes. Average precision, the area under the ROC curve and the rank correlation
rank the samples: these are ranked once, and a sparse matrix adds up the weights of those that count together.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from driver.analysis.bootstrap import BLOCK, Doubles, WeightedMetric
from driver.analysis.metric_specs import EXACT_DB
from shared import numerics, positions
from shared.positions import ByClass, PositionCounts

Flags = NDArray[np.bool_]
STEP = 0.01  # towards a sample, as a share of the weight that it has
TINY = float(np.finfo(np.float64).tiny)
MOST_LEFT_OUT = 1000  # times that samples are left out by the jackknife: of more samples, several at a time


def of_means(columns: Doubles, metric: Callable[[Doubles], Doubles]) -> WeightedMetric:
    """`metric` of the means, (resamples, columns), of `columns`, (samples, columns)."""

    def evaluate(weights: Doubles) -> Doubles:
        return metric(weights.T @ columns / weights.sum(axis=0)[:, None])

    def find_influence() -> Doubles:
        means, step = columns.mean(axis=0), STEP / len(columns)
        towards = step * (columns - means)
        return np.nan_to_num((metric(means + towards) - metric(means - towards)) / (2 * step))

    return WeightedMetric(evaluate, find_influence)


def mean(column: Doubles) -> WeightedMetric:
    return of_means(column[:, None], lambda means: means[:, 0])


def root_mean(column: Doubles) -> WeightedMetric:
    return of_means(column[:, None], lambda means: np.sqrt(means[:, 0]))


def ratio(numerator: Doubles, denominator: Doubles) -> WeightedMetric:
    """The sum of one column, (samples,), over that of another; NaN where the latter is 0."""

    def metric(means: Doubles) -> Doubles:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(means[:, 1] > 0, means[:, 0] / means[:, 1], np.nan))

    return of_means(np.stack([numerator, denominator], axis=1), metric)


def mean_over_classes(counts: PositionCounts, by_class: ByClass) -> WeightedMetric:
    """The mean over the classes of what `by_class` makes of the counts of all samples together."""

    def metric(means: Doubles) -> Doubles:
        return positions.mean_over_classes(by_class(*np.split(means, 3, axis=1)))

    return of_means(np.concatenate([counts.right, counts.answered, counts.labelled], axis=1), metric)


def r_squared(outputs: Doubles, exact: Doubles) -> WeightedMetric:
    """`numerics.r_squared` of weighted samples, both (samples, values): the mean over the values that differ."""
    differs = np.ptp(exact, axis=0) > 0
    centred = exact[:, differs] - exact[:, differs].mean(axis=0)
    columns = np.concatenate([np.square(outputs - exact)[:, differs], centred, np.square(centred)], axis=1)
    if not differs.any():
        return mean(np.full(len(exact), float(not (outputs - exact).any())))

    def metric(means: Doubles) -> Doubles:
        error, middle, square = np.split(means, 3, axis=1)
        spread = square - middle**2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.mean(1 - error / np.where(spread > 0, spread, np.nan), axis=1))

    return of_means(columns, metric)


def pooled_r_squared(error: Doubles, spread: Doubles) -> WeightedMetric:
    """The same of many values at once, from each sample's squared error and squared distance from the mean sample."""
    return of_means(np.stack([error, spread], axis=1), lambda means: 1 - means[:, 0] / np.maximum(means[:, 1], TINY))


def decibels(signal: Doubles, noise: Doubles) -> WeightedMetric:
    """`numerics.sqnr_db` of weighted samples, from the power of signal and noise in each; at most EXACT_DB.

    The logarithms are subtracted: their quotient overflows where a resample has no noise.
    """

    def metric(means: Doubles) -> Doubles:
        powers = np.log10(np.maximum(means, TINY))
        return np.asarray(np.minimum(10 * (powers[:, 0] - powers[:, 1]), EXACT_DB))

    return of_means(np.stack([signal, noise], axis=1), metric)


def cosine(signal: Doubles, power: Doubles, product: Doubles) -> WeightedMetric:
    """Of the angle between all outputs and all of the reference's, from each sample's share; of two zeros 1."""

    def metric(means: Doubles) -> Doubles:
        return numerics.cosine_from_powers(means[:, 2], means[:, 0], means[:, 1])

    return of_means(np.stack([signal, power, product], axis=1), metric)


def f1(predicted: Flags, positive: Flags, macro: bool) -> WeightedMetric:
    """2 TP / (predicted + positive), micro-averaged or macro-averaged over the labels; 0 where there is neither."""
    hits, named = predicted & positive, predicted.astype(np.float64) + positive

    def metric(means: Doubles) -> Doubles:
        right, all_of = np.split(means, 2, axis=1)
        if not macro:
            right, all_of = right.sum(axis=1, keepdims=True), all_of.sum(axis=1, keepdims=True)
        return np.asarray((2 * right / np.where(all_of > 0, all_of, 1)).mean(axis=1))

    return of_means(np.concatenate([hits.astype(np.float64), named], axis=1), metric)


def mean_average_precision(scores: NDArray[np.floating], positive: Flags) -> WeightedMetric:
    """Over the labels that have positives in the resample; NaN where none has. Both (samples, labels)."""
    each = [average_precision(*pair) for pair in zip(scores.T, positive.T, strict=True) if pair[1].any()]

    def evaluate(weights: Doubles) -> Doubles:
        if not each:
            return np.zeros(weights.shape[1])
        precisions = np.array([one(weights) for one in each])
        defined = ~np.isnan(precisions)
        return np.asarray(
            np.where(defined, precisions, 0).sum(axis=0) / np.where(defined.any(axis=0), defined.sum(axis=0), np.nan)
        )

    def find_influence() -> Doubles:
        return np.mean([one.influence for one in each], axis=0) if each else np.zeros(len(scores))

    return WeightedMetric(evaluate, find_influence)


def average_precision(scores: NDArray[np.floating], positive: Flags) -> WeightedMetric:
    """`numerics.average_precision` of weighted samples.

    The samples of a threshold with positives, and all since the last one, are a row of the sparse matrix.
    """
    order, ends = numerics.rank_thresholds(scores)
    found = np.cumsum(positive[order])[ends - 1]
    bounds = np.concatenate([[0], ends[np.diff(found, prepend=0) > 0]])
    every = build_summing_matrix(np.ones(len(order), np.float64), order, bounds)
    right = build_summing_matrix(np.asarray(positive[order], np.float64), order, bounds)

    def evaluate(weights: Doubles) -> Doubles:
        gains = right @ weights
        hits, seen = np.cumsum(gains, axis=0), np.cumsum(every @ weights, axis=0)
        total = np.where(hits[-1] > 0, hits[-1], np.nan)
        return np.asarray((gains * hits / np.maximum(seen, 1)).sum(axis=0) / total)

    def find_influence() -> Doubles:
        """The derivative by a sample's weight: it counts in the precision of its own threshold and of all below."""
        seen = bounds[1:].astype(np.float64)
        hits = np.cumsum(positive[order])[bounds[1:] - 1].astype(np.float64)
        gains, precision = np.diff(hits, prepend=0.0), hits / seen
        as_positive, as_any = (
            np.cumsum((gains / seen * factor)[::-1])[::-1] for factor in (np.ones_like(seen), precision)
        )
        rows = np.repeat(np.arange(len(seen)), np.diff(bounds))
        ranked = np.zeros(len(order))
        ranked[: bounds[-1]] = -as_any[rows]
        own = precision + as_positive - (gains * precision).sum() / hits[-1]
        ranked[: bounds[-1]] += positive[order[: bounds[-1]]] * own[rows]
        influence = np.empty(len(order))
        influence[order] = ranked * len(order) / hits[-1]
        return influence

    return WeightedMetric(evaluate, find_influence)


def area_under_roc(scores: Doubles, positive: Flags) -> WeightedMetric:
    """How often a positive has the higher score than a negative; equal scores count half (Mann and Whitney, 1947)."""
    order, ends = numerics.rank_thresholds(-scores)  # the lowest first
    starts = np.concatenate([[0], ends[:-1]])
    has_positives = np.add.reduceat(positive[order].astype(np.int64), starts) > 0
    bounds = np.concatenate([[0], np.stack([starts[has_positives], ends[has_positives]], axis=1).ravel()])
    negatives = build_summing_matrix(np.asarray(~positive[order], np.float64), order, bounds)
    positives = build_summing_matrix(np.asarray(positive[order], np.float64), order, bounds)
    negative = (~positive).astype(np.float64)

    def evaluate(weights: Doubles) -> Doubles:
        below, gains = negatives @ weights, (positives @ weights)[1::2]
        lower = np.cumsum(below, axis=0)[1::2] - below[1::2] / 2
        pairs = gains.sum(axis=0) * (negative @ weights)
        return np.asarray((gains * lower).sum(axis=0) / np.where(pairs > 0, pairs, np.nan))

    def find_influence() -> Doubles:
        """How often each sample is on its right side of the others: DeLong's placements, Biometrics 44 (1988)."""
        above, below = scores[positive], scores[~positive]
        influence = np.empty(len(scores))
        influence[positive] = share_below(np.sort(below), above) * len(scores) / len(above)
        influence[~positive] = share_below(np.sort(-above), -below) * len(scores) / len(below)
        for side in (positive, ~positive):
            influence[side] -= influence[side].mean()
        return influence

    return WeightedMetric(evaluate, find_influence)


def share_below(others: Doubles, scores: Doubles) -> Doubles:
    """Of each score, how many of the sorted `others` are lower, as a share; equal ones count half."""
    both = [np.searchsorted(others, scores, side) for side in ("left", "right")]
    return np.asarray((both[0] + both[1]) / (2 * len(others)))


def mean_of_classes(column: Doubles, classes: NDArray[np.integer]) -> WeightedMetric:
    """The mean over the classes of the mean of `column` in each, both (samples,): classes that have samples."""
    numbers, members, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    order, bounds = np.argsort(members, kind="stable"), np.concatenate([[0], np.cumsum(sizes)])
    every = build_summing_matrix(np.ones(len(order)), order, bounds)
    sums = build_summing_matrix(column[order], order, bounds)

    def evaluate(weights: Doubles) -> Doubles:
        sizes_drawn = every @ weights
        drawn = sizes_drawn > 0
        means = (sums @ weights) / np.where(drawn, sizes_drawn, 1)  # 0 of a class that isn't drawn
        return np.asarray(means.sum(axis=0) / np.maximum(drawn.sum(axis=0), 1))

    def find_influence() -> Doubles:
        means = np.bincount(members, weights=column) / sizes
        return np.asarray((column - means[members]) * len(column) / (len(numbers) * sizes[members]))

    return WeightedMetric(evaluate, find_influence)


def of_pairs(metric: WeightedMetric, members: NDArray[np.integer], samples: int) -> WeightedMetric:
    """`metric`, a function of the weights of pairs, as one of the weights of their samples.

    `members` has the samples of each pair, (pairs, 2), of so many `samples`. A pair weighs what its samples weigh in
    the mean: resamples draw it whole.
    """
    sides = members[:, 0], members[:, 1]

    def evaluate(weights: Doubles) -> Doubles:
        return metric((weights[sides[0]] + weights[sides[1]]) / 2)

    def find_influence() -> Doubles:
        influence = np.zeros(samples)
        for side in sides:
            influence[side] = metric.influence * samples / (2 * len(members))
        return influence

    return WeightedMetric(evaluate, find_influence)


def pearson(one: Doubles, other: Doubles) -> WeightedMetric:
    """Pearson's correlation of two columns, (samples,); NaN where one of them doesn't vary."""
    columns = np.stack([one - one.mean(), other - other.mean()], axis=1)
    products = np.stack([np.square(columns[:, 0]), np.square(columns[:, 1]), columns[:, 0] * columns[:, 1]], axis=1)

    def metric(means: Doubles) -> Doubles:
        first, second, square, other_square, product = means.T
        with np.errstate(invalid="ignore"):
            spread = np.maximum(square - first**2, 0) * np.maximum(other_square - second**2, 0)
            return np.asarray((product - first * second) / np.sqrt(np.where(spread > 0, spread, np.nan)))

    return of_means(np.concatenate([columns, products], axis=1), metric)


def spearman(one: Doubles, other: Doubles) -> WeightedMetric:
    """Spearman's rank correlation of two columns, (samples,), ties by mid-ranks; NaN where one of them doesn't vary.

    It is exact on a resample: a sample that is drawn twice is two equal ones. A rank is the weight of all lower values
    and half of the weight of equal ones, so that the mean of the ranks is half of the whole weight.
    """
    rank, rank_other = Ranking(one), Ranking(other)

    def evaluate(weights: Doubles) -> Doubles:
        half = weights.sum(axis=0) / 2
        ranks, other_ranks = rank.rank(weights) - half, rank_other.rank(weights) - half
        spread = (weights * np.square(ranks)).sum(axis=0) * (weights * np.square(other_ranks)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (weights * ranks * other_ranks).sum(axis=0) / np.sqrt(np.where(spread > 0, spread, np.nan))
            )

    def find_influence() -> Doubles:
        """The derivative by a sample's weight: its own rank counts, and it is below others in theirs."""
        half = len(one) / 2
        once = np.ones((len(one), 1))
        ranks, other_ranks = rank.rank(once)[:, 0] - half, rank_other.rank(once)[:, 0] - half
        together = ranks * other_ranks + rank.sum_above(other_ranks) + rank_other.sum_above(ranks)
        own = np.square(ranks) + 2 * rank.sum_above(ranks)
        other_own = np.square(other_ranks) + 2 * rank_other.sum_above(other_ranks)
        product, square, other_square = ranks @ other_ranks, ranks @ ranks, other_ranks @ other_ranks
        if not square or not other_square:
            return np.zeros(len(one))
        value = product / np.sqrt(square * other_square)
        change = together / np.sqrt(square * other_square) - value / 2 * (own / square + other_own / other_square)
        return np.asarray(change * len(one))

    return WeightedMetric(evaluate, find_influence)


class Ranking:
    """The order of a column, (samples,), by which weighted samples are ranked."""

    def __init__(self, column: Doubles) -> None:
        _, self.levels, counts = np.unique(column, return_inverse=True, return_counts=True)
        order = np.argsort(self.levels, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(counts)])
        self.sums = build_summing_matrix(np.ones(len(order)), order, bounds)

    def rank(self, weights: Doubles) -> Doubles:
        """(samples, resamples): the weight of all lower values, and half of that of equal ones."""
        weight = self.sums @ weights
        return np.asarray((np.cumsum(weight, axis=0) - weight / 2)[self.levels])

    def sum_above(self, values: Doubles) -> Doubles:
        """(samples,): of `values`, (samples,), the sum over the higher samples, and half of that over equal ones."""
        sums = self.sums @ values
        return np.asarray((np.cumsum(sums[::-1])[::-1] - sums / 2)[self.levels])


def build_summing_matrix(values: Doubles, order: NDArray[np.intp], bounds: NDArray[np.intp]) -> csr_array:
    """A matrix that adds up, times `values`, the weights of the samples that `order` has between two bounds.

    Zeros are left out of it.
    """
    inside = slice(0, int(bounds[-1]))
    kept = values[inside] != 0
    counts = np.concatenate([[0], np.cumsum(kept)])[bounds]
    return csr_array((values[inside][kept], order[inside][kept], counts), shape=(len(bounds) - 1, len(order)))


def jackknife(evaluate: Callable[[Doubles], Doubles], samples: int) -> Doubles:
    """The influence values of a metric, (samples,), by leaving out one sample at a time, or one block of samples.

    `evaluate` is the metric as a function of weights, (samples, some) -> (some,). Of more than MOST_LEFT_OUT samples a
    block is left out at a time, and each of its samples is given the mean influence of the block times the root of its
    size: the standard error is then that of the jackknife over blocks (Efron and Tibshirani, "An Introduction to the
    Bootstrap" (1993), chapter 11). A block has samples from all over the data, so that the values of one sample alone
    mean little, nor do their sums over groups of samples that are alike. 0 where leaving out a sample leaves nothing.
    It is for metrics that change smoothly: of a quantile, or of precision at a level of recall, it is wrong.
    """
    if samples < 2:
        return np.zeros(samples)
    blocks = np.arange(samples) % min(samples, MOST_LEFT_OUT)
    sizes = np.bincount(blocks)
    step = max(1, BLOCK // max(1, samples))
    values = [
        evaluate((blocks[:, None] != np.arange(start, min(start + step, len(sizes)))).astype(np.float64))
        for start in range(0, len(sizes), step)
    ]
    changes = evaluate(np.ones((samples, 1))) - np.concatenate(values)
    influence = np.nan_to_num(changes * (samples - sizes) / sizes)
    influence -= (influence * sizes).sum() / samples
    return np.asarray((influence * np.sqrt(sizes))[blocks])
