"""How much a recipe depends on its calibration set: the spread over several draws, and accuracy against their size."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import stdtrit
from scipy.stats import ttest_rel

from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation, compute_headline
from driver.analysis.results import SIGNIFICANT, Draws, Interval, Point


def summarize_draws(evaluation: Evaluation, variant: str, reference: float | None) -> Draws | None:
    """Of `variant` on all draws that have answers; None where it was drawn once.

    `reference` is the headline metric of the variant that others are compared with.
    """
    names = [
        variant,
        *(name for name, draw in iterate_further_draws(evaluation.evidence, variant) if draw.startswith("d")),
    ]
    answers = [answer for name in names if (answer := evaluation.evaluated_answer(name)) is not None]
    if len(names) == 1 or len(answers) != len(names):
        return None
    values = [answer.value for answer in answers]
    mean = float(np.mean(values))
    delta = 0.0 if reference is None else mean - reference
    sd = float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, 0.975)) * sd / math.sqrt(len(values))
    return Draws(tuple(values), mean, sd, delta, Interval(mean - half, mean + half))


def collect_curve(evaluation: Evaluation, variant: str) -> tuple[Point, ...]:
    """The headline metric of `variant` by the size of its calibration set, for the sizes that have answers."""
    points = []
    for name, draw in iterate_further_draws(evaluation.evidence, variant):
        answer = evaluation.evaluated_answer(name) if draw.startswith("n") else None
        if answer is not None:
            metric = compute_headline(answer)
            span = metric.interval or Interval(metric.value, metric.value)
            points.append(Point(int(draw.removeprefix("n")), metric.value, span))
    return tuple(sorted(points, key=lambda point: point.images))


def iterate_further_draws(evidence: Evidence, variant: str) -> Iterator[tuple[str, str]]:
    """Name and draw of the variants that are `variant` on other calibration sets."""
    for step in evidence.plan.steps:
        if step.draw and step.output == f"{variant}.{step.draw}":
            yield step.output, step.draw


def are_indistinguishable(one: Sequence[float], other: Sequence[float]) -> bool:
    """Do two recipes differ by no more than the draws' noise? `one` and `other` have an accuracy a draw, in one order.

    Student's t-test for pairs, since both saw the same draws. With a single draw each, only the same value is equal.
    Beside several draws, a single accuracy is that of a recipe which needs no calibration: the same in each draw.
    """
    count = max(len(one), len(other))
    one, other = (tuple(values) * count if len(values) == 1 else tuple(values) for values in (one, other))
    if one == other:
        return True
    if len(one) != len(other) or count < 2:
        return False
    if np.ptp(np.subtract(one, other)) == 0:
        return False  # by the same amount in every draw: no noise
    return bool(ttest_rel(one, other).pvalue >= SIGNIFICANT)
