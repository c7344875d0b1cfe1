"""Forecasting: the metrics of a regression, and the errors of each step."""

import numpy as np

from driver.analysis.results import Breakdown
from driver.analysis.tasks import regression
from driver.analysis.tasks.base import EvaluatedOutput, TaskMetrics
from driver.analysis.tasks.reconstruction import blocks_in_pairs
from shared.errors import CrossquantError


def break_down(output: EvaluatedOutput) -> tuple[Breakdown, ...]:
    """Mean absolute error and root mean squared error of each step, over the samples and the values of a step.

    Steps lie along the first axis of a sample's labels, (steps,) or (steps, values).
    """
    assert output.labels is not None
    steps = (len(output.labels), output.labels.shape[1], -1)
    pairs = blocks_in_pairs(output.outputs.reshape(steps), output.labels.reshape(steps))
    errors = [answered - exact for answered, exact in pairs]
    absolute, squared = (
        np.concatenate([transform(block).mean(axis=2) for block in errors]).mean(axis=0)
        for transform in (np.abs, np.square)
    )
    return (
        Breakdown("step", "mae", tuple(absolute.tolist())),
        Breakdown("step", "rmse", tuple(np.sqrt(squared).tolist())),
    )


def check(output: EvaluatedOutput) -> None:
    """The outputs have the steps and the values of a step where the labels have them."""
    if output.labels is None:
        return
    own, wanted = (tuple(size for size in array.shape[1:] if size > 1) for array in (output.outputs, output.labels))
    if own != wanted:
        raise CrossquantError(
            f"labels of {output.labels.shape[1:]} a sample and outputs of {output.outputs.shape[1:]}: a forecast must "
            "have the steps and the values of its labels, in the same order"
        )


METRICS = TaskMetrics(regression.compute, check, break_down)
