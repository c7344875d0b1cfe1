"""The expected calibration error of a classification, and whether a variant's is higher than the reference's."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.analysis import bootstrap, weighted_statistics
from driver.analysis.bootstrap import Doubles, Statistic
from driver.analysis.evaluation import Answer
from driver.analysis.facts import CalibrationWorse
from driver.analysis.results import SIGNIFICANT
from driver.analysis.tasks.base import Flags

BINS = 15
LEAST = 0.005  # of an increase that is worth a sentence, as a share


def compute_calibration_error(confidence: NDArray[np.floating[Any]], right: Flags, bins: int = BINS) -> float:
    """Expected calibration error, 0-1: how far confidence and accuracy are apart, over `bins` equal bins (low, high].

    `confidence` is the probability of each sample's likeliest class, and `right` says whether that is its label. Guo et
    al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    gap: NDArray[np.float64] = right - confidence.astype(np.float64)
    per_bin = np.bincount(find_bins(confidence, bins), weights=gap)
    return float(np.abs(per_bin).sum() / len(right))


def find_bins(confidence: NDArray[np.floating[Any]], bins: int) -> NDArray[np.intp]:
    edges = np.linspace(0, 1, bins + 1)[1:-1].astype(confidence.dtype)
    return np.asarray(np.digitize(confidence, edges, right=True))


def spread_gaps(answer: Answer) -> Doubles:
    """(samples, bins): how far each sample's confidence is from being right, in the column of its bin."""
    right = answer.likeliest == answer.classes
    gaps = np.zeros((len(right), BINS))
    places = find_bins(answer.confidence, BINS)
    gaps[np.arange(len(right)), places] = right - answer.confidence.astype(np.float64)
    return gaps


def find_increase(own: Answer, base: Answer) -> Iterator[CalibrationWorse]:
    """A caveat where the error is shown to be higher than that of `base`, by enough to matter.

    Paired, by the bootstrap: both errors are of the same resamples.
    """
    before, after = spread_gaps(base), spread_gaps(own)

    def increase(means: Doubles) -> Doubles:
        return np.asarray(np.abs(means[:, BINS:]).sum(axis=1) - np.abs(means[:, :BINS]).sum(axis=1))

    metric = weighted_statistics.of_means(np.concatenate([before, after], axis=1), increase)
    own_error, base_error = (float(np.abs(gaps.mean(axis=0)).sum()) for gaps in (after, before))
    if own_error - base_error < LEAST:
        return
    groups = own.truth.groups
    replicates = bootstrap.resample({"increase": metric}, len(before), groups)["increase"]
    statistic = Statistic(own_error - base_error, replicates, bootstrap.sum_by_group(metric.influence, groups))
    [span] = bootstrap.bound_together([statistic], SIGNIFICANT)
    if span.low > 0:
        yield CalibrationWorse(own_error, base_error, span.low)
