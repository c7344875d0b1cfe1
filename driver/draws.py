"""What the draw of the calibration set does to a recipe: spread over several draws, and accuracy against their size."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_rel

from driver import statistics
from driver.evidence import Evidence
from driver.results import SIGNIFICANT, Draws, Point

Right = NDArray[np.bool_]


def spread(evidence: Evidence, variant: str, reference: float | None) -> Draws | None:
    """Of `variant` on all draws that have answers; None where it was drawn once. `reference` is its accuracy, 0-1."""
    names = [variant, *(name for name, draw in further(evidence, variant) if draw.startswith("d"))]
    found = [float(right.mean()) for name in names if (right := answers_right(evidence, name)) is not None]
    if len(names) == 1 or len(found) != len(names):
        return None
    mean = float(np.mean(found))
    delta = 0.0 if reference is None else 100 * (mean - reference)
    return Draws(tuple(found), mean, float(np.std(found, ddof=1)), delta)


def curve(evidence: Evidence, variant: str) -> tuple[Point, ...]:
    """Accuracy of `variant` against the size of its calibration set, as far as there are answers."""
    points = []
    for name, draw in further(evidence, variant):
        right = answers_right(evidence, name) if draw.startswith("n") else None
        if right is not None:
            images = int(draw.removeprefix("n"))
            points.append(Point(images, float(right.mean()), statistics.wilson(int(right.sum()), len(right))))
    return tuple(sorted(points, key=lambda point: point.images))


def further(evidence: Evidence, variant: str) -> Iterator[tuple[str, str]]:
    """Name and draw of the variants that are `variant` on other calibration sets."""
    for step in evidence.plan.steps:
        if step.draw and step.output == f"{variant}.{step.draw}":
            yield step.output, step.draw


def answers_right(evidence: Evidence, name: str) -> Right | None:
    """Which of its images `name` gets right: those that its predictions were made of."""
    answers = evidence.probabilities(name)
    if answers is None:
        return None
    judge = evidence.plan.step(f"predictions.{name}").inputs[1]
    labels = evidence.labels(judge)
    return None if labels is None else answers.argmax(axis=1) == labels


def equal(one: Sequence[float], other: Sequence[float]) -> bool:
    """Do two recipes differ by no more than the draws' noise? `one` and `other` have an accuracy a draw, in one order.

    Student's t-test for pairs, since both saw the same draws. With a single draw each, only the same figure is equal.
    Beside several draws, a single accuracy is that of a recipe which needs no calibration: the same in each draw.
    """
    count = max(len(one), len(other))
    one, other = (tuple(found) * count if len(found) == 1 else tuple(found) for found in (one, other))
    if one == other:
        return True
    if len(one) != len(other) or count < 2:
        return False
    if np.ptp(np.subtract(one, other)) == 0:
        return False  # by the same amount in every draw: no noise
    return bool(ttest_rel(one, other).pvalue >= SIGNIFICANT)
