"""Intervals and paired tests for metrics that are no counts: the bootstrap over the samples.

A weighted metric is a function of weights, (samples, resamples) -> (resamples,): how often each resample drew each
sample; all ones give the metric itself. The resamples are the same for everything that has as many samples, so that a
difference of two metrics, resample by resample, is the paired one. Efron and Tibshirani, "An Introduction to the
Bootstrap" (1993): chapter 13 for the percentile interval, section 13.3 for that of a transformed or skewed metric.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from driver.analysis.results import Interval

Counts = NDArray[np.unsignedinteger[Any]]
Doubles = NDArray[np.float64]
WeightedMetric = Callable[[Doubles], Doubles]

RESAMPLES, FEWEST = 1000, 200
DRAWS = 100_000_000  # of samples in all: beyond 100,000 samples there are fewer resamples, since each tells more
RANKED = 300_000_000  # the same times the labels that are ranked: some seconds a variant
BLOCK = 1 << 20  # weights in memory: they fit into a cache
SEED = 0
ROUNDING = 1e-9  # a spread that is less of the difference is none


def count_resamples(samples: int, labels: int = 1) -> int:
    """How many resamples there are of so many samples, which have so many labels to rank them by."""
    most = min(DRAWS // max(1, samples), RANKED // max(1, samples * labels))
    return max(FEWEST, min(RESAMPLES, most))


def iterate_weights(samples: int, labels: int = 1) -> Iterator[Doubles]:
    """Blocks of (samples, some resamples): how often each was drawn, with replacement. Always the same ones."""
    total = count_resamples(samples, labels)
    blocks = draw_once(samples, total) if samples * total <= DRAWS else draw_blocks(samples, total)
    return (counts.astype(np.float64) for counts in blocks)


@lru_cache(maxsize=2)  # of the test samples, and of the selection set or the samples on other CPUs
def draw_once(samples: int, total: int) -> tuple[Counts, ...]:
    """The same for all variants: a byte for each sample drawn is kept, 100 MB at most."""
    return tuple(draw_blocks(samples, total))


def draw_blocks(samples: int, total: int) -> Iterator[Counts]:
    """Blocks of `total` resamples, each (samples, some resamples)."""
    random, size = np.random.default_rng(SEED), max(1, min(total, BLOCK // max(1, samples)))
    for start in range(0, total, size):
        yield draw_counts(random, samples, min(size, total - start))


def draw_counts(random: np.random.Generator, samples: int, resamples: int) -> Counts:
    positions = random.integers(0, samples, (resamples, samples), np.int64)
    positions += samples * np.arange(resamples)[:, None]
    counts = np.bincount(positions.ravel(), minlength=resamples * samples).reshape(resamples, samples)
    return np.ascontiguousarray(counts.T, np.min_scalar_type(counts.max(initial=0)))


def compute_values(metrics: Mapping[str, WeightedMetric], samples: int) -> dict[str, float]:
    """The value of each metric on all samples, each once."""
    once = np.ones((samples, 1))
    return {name: float(metric(once)[0]) for name, metric in metrics.items()}


def resample(metrics: Mapping[str, WeightedMetric], samples: int, labels: int = 1) -> dict[str, Doubles]:
    """Each metric on every resample; NaN where a resample has nothing to tell it from."""
    blocks: dict[str, list[Doubles]] = {name: [] for name in metrics}
    for block in iterate_weights(samples, labels):
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


@lru_cache(maxsize=4)
def interval_scale(confidence: float) -> float:
    """By what the half-width of a 95% interval is multiplied for another confidence, as a normal's is."""
    return float(norm.ppf(0.5 + confidence / 2) / norm.ppf(0.975))
