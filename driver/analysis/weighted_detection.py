"""COCO's average precision of weighted images, as a function of weights: see driver/analysis/bootstrap.py.

The detections of a class are ranked once. Precision rises only where a detection is right, so that all else is added up
between two right ones by a sparse matrix, and a resample costs a step for each object that was found.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from driver.analysis.bootstrap import Doubles, WeightedMetric
from shared import detection
from shared.detection import RECALL_LEVELS, ClassRanking

LEVELS = len(RECALL_LEVELS)
BLOCK = 1 << 16  # values in memory for each step: several arrays of these fit into a cache
TINY = float(np.finfo(np.float64).tiny)


def mean_average_precision(
    rankings: Sequence[ClassRanking], samples: int, thresholds: int | None = None
) -> WeightedMetric:
    """`shared.detection.coco_map` of weighted images: over the classes that have objects in the resample.

    `thresholds` is how many of `shared.detection.IOU_THRESHOLDS` the mean is over, from the lowest on; None: all. NaN
    where no class has objects.
    """
    count = len(detection.IOU_THRESHOLDS) if thresholds is None else thresholds
    classes = [WeightedRanking(ranking, samples, count) for ranking in rankings]

    def evaluate(weights: Doubles) -> Doubles:
        total, defined = np.zeros((2, weights.shape[1]))
        for one in classes:
            precision = one.average_precision(weights)
            has_objects = ~np.isnan(precision)
            total += np.where(has_objects, precision, 0)
            defined += has_objects
        return np.asarray(np.where(defined > 0, total / np.maximum(defined, 1), np.nan))

    def find_influence() -> Doubles:
        return np.mean([one.find_influence() for one in classes], axis=0) if classes else np.zeros(samples)

    return WeightedMetric(evaluate, find_influence)


class WeightedRanking:
    """The ranking of one class's detections, prepared for many resamples.

    `rows` are the ranks that are right for any threshold; `hits` has for each threshold which of these rows are right
    for it; `seen` is the matrix, (rows, samples), that adds up the weights of the detections since the last row.
    """

    def __init__(self, ranking: ClassRanking, samples: int, thresholds: int) -> None:
        hits = ranking.hits[:, :thresholds]
        self.samples, self.ranking, self.all_hits = samples, ranking, hits
        self.objects = ranking.objects.astype(np.float64)
        self.rows = np.flatnonzero(hits.any(axis=1))
        self.images = ranking.images[self.rows]
        self.hits = [np.flatnonzero(column) for column in hits[self.rows].T]
        ends = np.concatenate([[0], self.rows + 1])
        until = int(ends[-1])
        self.seen = csr_array((np.ones(until), ranking.images[:until], ends), shape=(len(self.rows), samples))

    def average_precision(self, weights: Doubles) -> Doubles:
        """(resamples,): the mean over the thresholds; NaN where the class has no objects."""
        size = max(1, BLOCK // max(1, len(self.rows)))
        parts = [self._evaluate(weights[:, start : start + size]) for start in range(0, weights.shape[1], size)]
        return np.concatenate(parts)

    def _evaluate(self, weights: Doubles) -> Doubles:
        objects = self.objects @ weights
        seen = np.maximum(np.cumsum(self.seen @ weights, axis=0), TINY)
        total = np.zeros(weights.shape[1])
        for rows in self.hits:
            if len(rows):
                found = np.cumsum(weights[self.images[rows]], axis=0)
                highest = np.maximum.accumulate((found / seen[rows])[::-1], axis=0)[::-1]
                reached = count_levels(found / np.maximum(objects, TINY))
                total += (highest * np.diff(reached, axis=0, prepend=0)).sum(axis=0) / LEVELS
        return np.asarray(np.where(objects > 0, total / len(self.hits), np.nan))

    def find_influence(self) -> Doubles:
        """(samples,): the derivative by an image's weight of the area under the curve of the highest precision.

        COCO's sum over 101 levels of recall jumps where that area bends. The standard error by this derivative is
        within 3 % of the spread of the resamples; that by leaving out images, the jackknife, is 0.6 to 1.9 times as
        large, since one image moves all levels behind it by a step.

        An image counts in three ways: its right detections are found, its objects are to be found, and its detections
        count in the precision of their own rank and of all behind it, as far as that precision is the highest one.
        """
        influence = np.zeros(self.samples)
        for column in self.all_hits.T:
            influence += self._derive(np.flatnonzero(column))
        return np.asarray(influence * self.samples / self.objects.sum() / len(self.hits))

    def _derive(self, right: NDArray[np.intp]) -> Doubles:
        if not len(right):
            return np.zeros(self.samples)
        images = self.ranking.images
        precision = np.arange(1, len(right) + 1) / (right + 1)
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        # The rank of whose precision each one's highest is: the first from it on that has that very value.
        is_highest = precision == highest
        giver = np.flatnonzero(is_highest)[np.cumsum(is_highest) - is_highest]
        share = np.bincount(giver, minlength=len(right)) / (right + 1)
        as_right = np.cumsum(share[::-1])[::-1]
        as_any = np.zeros(right[-1] + 1)
        as_any[right] = share * precision
        as_any = np.cumsum(as_any[::-1])[::-1]
        influence = np.bincount(images[right], highest + as_right, self.samples)
        influence -= np.bincount(images[: len(as_any)], as_any, self.samples)
        return np.asarray(influence - self.objects * highest.sum() / self.objects.sum())


def count_levels(recall: Doubles) -> NDArray[np.int64]:
    """How many of COCO's levels of recall are at most this, of recalls from 0 to 1, of any shape.

    It is `searchsorted(RECALL_LEVELS, recall, "right")`, which takes ten times as long: a level is at most one beside
    the rounded one.
    """
    near = np.minimum(recall * (LEVELS - 1), LEVELS - 1).astype(np.int64)
    below, above = RECALL_LEVELS[near] > recall, np.append(RECALL_LEVELS, np.inf)[near + 1] <= recall
    return np.asarray(near + 1 - below + above)
