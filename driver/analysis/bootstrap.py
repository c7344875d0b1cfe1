"""Intervals and paired tests for metrics that are no counts: the bootstrap over the samples.

A weighted metric is a function of weights, (samples, resamples) -> (resamples,): how often each resample drew each
sample; all ones give the metric itself. The resamples are the same for everything that has as many samples, so that a
difference of two metrics, resample by resample, is the paired one.

An interval of a single metric is that between percentiles (Efron and Tibshirani, "An Introduction to the Bootstrap"
(1993), chapter 13). What decides is the wider of the studentized bound (the same book, section 12.5) and the
percentile, both simultaneous over all candidates by the distribution of the largest among them (Westfall and Young,
"Resampling-Based Multiple Testing" (1993)): of a maximum the level itself is enough, where a corrected level would need
many times as many resamples.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from driver.analysis.results import Interval

Counts = NDArray[np.unsignedinteger[Any]]
Doubles = NDArray[np.float64]
Groups = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class WeightedMetric:
    """A metric as a function of weights, (samples, resamples) -> (resamples,).

    `find_influence` returns, (samples,), by how much it changes for a little more weight on each sample: the empirical
    influence values, whose mean is 0 (Efron and Tibshirani, chapter 21). Their root of the sum of squares, divided by
    the number of samples, is the standard error.
    """

    evaluate: Callable[[Doubles], Doubles]
    find_influence: Callable[[], Doubles]

    def __call__(self, weights: Doubles) -> Doubles:
        return self.evaluate(weights)

    @cached_property
    def influence(self) -> Doubles:
        return self.find_influence()


RESAMPLES = 4000  # 100 of them are beyond a one-sided bound at 5 % on each of two targets
KEPT = 250_000_000  # samples drawn in all that are kept in memory, a byte each; more are drawn again for each variant
BLOCK = 1 << 20  # weights in memory: they fit into a cache
SEED = 0
ROUNDING = 1e-9  # a spread that is less of the difference is none


def iterate_weights(samples: int, groups: Groups | None = None) -> Iterator[Doubles]:
    """Blocks of (samples, some resamples): how often each was drawn, with replacement. Always the same ones.

    `groups` has the number of each sample's group, (samples,): groups are drawn whole.
    """
    if groups is None:
        kept = samples * RESAMPLES <= KEPT
        blocks = draw_once(samples, RESAMPLES) if kept else draw_blocks(samples, samples, RESAMPLES)
        return (counts.astype(np.float64) for counts in blocks)
    return (counts.astype(np.float64)[groups] for counts in draw_blocks(count_groups(groups), samples, RESAMPLES))


def count_groups(groups: Groups) -> int:
    """Groups are numbered from 0."""
    return int(groups.max(initial=-1)) + 1


@lru_cache(maxsize=2)  # of the test samples, and of the selection set or the samples on other CPUs
def draw_once(samples: int, resamples: int) -> tuple[Counts, ...]:
    """The same for all variants: a byte for each sample drawn is kept."""
    return tuple(draw_blocks(samples, samples, resamples))


def draw_blocks(units: int, samples: int, resamples: int) -> Iterator[Counts]:
    """Blocks of all resamples, each (units, some resamples): as many as fit into memory with a row for each sample."""
    random, size = np.random.default_rng(SEED), max(1, min(resamples, BLOCK // max(1, samples)))
    for start in range(0, resamples, size):
        yield draw_counts(random, units, min(size, resamples - start))


def draw_counts(random: np.random.Generator, samples: int, resamples: int) -> Counts:
    positions = random.integers(0, samples, (resamples, samples), np.int64)
    positions += samples * np.arange(resamples)[:, None]
    counts = np.bincount(positions.ravel(), minlength=resamples * samples).reshape(resamples, samples)
    return np.ascontiguousarray(counts.T, np.min_scalar_type(counts.max(initial=0)))


def compute_values(metrics: Mapping[str, WeightedMetric], samples: int) -> dict[str, float]:
    """The value of each metric on all samples, each once."""
    once = np.ones((samples, 1))
    return {name: float(metric(once)[0]) for name, metric in metrics.items()}


def resample(metrics: Mapping[str, WeightedMetric], samples: int, groups: Groups | None = None) -> dict[str, Doubles]:
    """Each metric on every resample; NaN where a resample has nothing to tell it from."""
    blocks: dict[str, list[Doubles]] = {name: [] for name in metrics}
    for block in iterate_weights(samples, groups):
        for name, metric in metrics.items():
            blocks[name].append(metric(block))
    return {name: np.concatenate(values) for name, values in blocks.items()}


def percentile_interval(replicates: Doubles, confidence: float = 0.95) -> Interval | None:
    """Percentile interval; None where no resample tells the metric."""
    defined = replicates[~np.isnan(replicates)]
    if not defined.size:
        return None
    low, high = np.quantile(defined, (0.5 - confidence / 2, 0.5 + confidence / 2))
    return Interval(float(low), float(high))


def compute_p_value(difference: float, replicates: Doubles) -> float:
    """Two-sided, for a difference of nothing: twice the share of the resamples on the other side of 0, which counts.

    Where no resample is there, that share is only known to be small: it is that of a normal distribution with the
    resamples' spread, at most 1/(resamples + 1). A correction for many tests could find nothing otherwise.
    """
    defined = replicates[~np.isnan(replicates)]
    if difference == 0 or not defined.size:
        return 1.0
    beyond = int(np.count_nonzero(defined <= 0 if difference > 0 else defined >= 0))
    floor = 1 / (defined.size + 1)
    if beyond:
        return min(1.0, max(2 * beyond / defined.size, floor))
    spread = float(defined.std(ddof=1)) if defined.size > 1 else 0.0
    alike = spread <= ROUNDING * abs(difference)
    return floor if alike else min(floor, 2 * float(norm.sf(abs(difference) / spread)))


@dataclass(frozen=True, eq=False)
class Statistic:
    """What a bound is wanted of: its value, its value on each resample, and its influence values, (units,).

    A unit is what is drawn: a sample, or a group of samples (`sum_by_group`).
    """

    value: float
    replicates: Doubles
    influence: Doubles

    @property
    def standard_error(self) -> float:
        return float(np.sqrt(np.square(self.influence).sum())) / max(len(self.influence), 1)


def sum_by_group(influence: Doubles, groups: Groups | None) -> Doubles:
    """The influence values of the groups, from those of the samples."""
    if groups is None:
        return influence
    count = count_groups(groups)
    return np.asarray(np.bincount(groups, weights=influence, minlength=count) * (count / len(influence)), np.float64)


def bound_together(statistics: Sequence[Statistic], level: float) -> list[Interval]:
    """The lower and the upper bound of each statistic, one-sided at `level` over all of them at once.

    All are of the same units. A resample that doesn't define each of them is left out. What doesn't vary at all is
    its own bound; where no resample is left, nothing is known.

    Each bound is the wider of two, since each of them undercovers somewhere: the studentized one where samples are of
    very different sizes, percentiles where few samples make the loss (docs/decision.md has both, measured).
    """
    varying = [item for item in statistics if item.standard_error > 0]
    if not varying:
        return [Interval(item.value, item.value) for item in statistics]
    deviations = studentize(varying)
    defined = ~np.isnan(deviations).any(axis=0)
    if not defined.any():
        return [Interval(-np.inf, np.inf) for _ in statistics]
    replicates = np.stack([item.replicates[defined] for item in varying])
    bounds = iter(
        Interval(min(one.low, other.low), max(one.high, other.high))
        for one, other in zip(
            bound_by_deviations(varying, deviations[:, defined], level),
            bound_by_ranks(varying, replicates, level),
            strict=True,
        )
    )
    return [next(bounds) if item.standard_error > 0 else Interval(item.value, item.value) for item in statistics]


def bound_by_deviations(statistics: Sequence[Statistic], deviations: Doubles, level: float) -> list[Interval]:
    """By the largest of the studentized deviations, (statistics, resamples), of each resample."""
    least = float(np.quantile(deviations.min(axis=0), level, method="lower"))
    most = float(np.quantile(deviations.max(axis=0), 1 - level, method="higher"))
    return [
        Interval(item.value - max(most, 0.0) * item.standard_error, item.value - min(least, 0.0) * item.standard_error)
        for item in statistics
    ]


def bound_by_ranks(statistics: Sequence[Statistic], replicates: Doubles, level: float) -> list[Interval]:
    """By the highest of the ranks that a resample's values, (statistics, resamples), have among those of all resamples.

    Beran, "Balanced simultaneous confidence sets", Journal of the American Statistical Association 83 (1988), 679-686.
    Of a single statistic that is its percentile.
    """
    ranked = np.sort(replicates, axis=1)
    ranks = np.stack([rankdata(row, "ordinal") - 1 for row in replicates])
    low = int(np.quantile(ranks.min(axis=0), level, method="lower"))
    high = int(np.quantile(ranks.max(axis=0), 1 - level, method="higher"))
    return [
        Interval(min(float(row[low]), item.value), max(float(row[high]), item.value))
        for item, row in zip(statistics, ranked, strict=True)
    ]


def studentize(statistics: Sequence[Statistic]) -> Doubles:
    """(statistics, resamples): how far each is from its value, in the standard errors that the resample itself gives.

    Those are of the influence values of the samples that it drew. NaN where a resample doesn't define the statistic.
    """
    units = len(statistics[0].influence)
    columns = np.stack([item.influence for item in statistics], axis=1)
    both = np.concatenate([columns, np.square(columns)], axis=1)
    means = np.concatenate([weights.T @ both for weights in iterate_weights(units)]).T / units
    first, second = means[: len(statistics)], means[len(statistics) :]
    errors = np.sqrt(np.maximum(second - first**2, 0) / units)
    floors = np.array([[ROUNDING * item.standard_error] for item in statistics])
    distances = np.stack([item.replicates - item.value for item in statistics])
    return np.asarray(distances / np.maximum(errors, floors))
