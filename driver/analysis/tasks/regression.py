"""One or several numbers a sample: mean absolute error, root mean squared error and R²."""

import numpy as np

from driver.analysis import weighted_statistics
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from driver.analysis.tasks.reconstruction import blocks_in_pairs, squared_errors
from shared import numerics, tasks


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    assert output.labels is not None
    outputs, exact = numerics.flatten_samples(output.outputs), tasks.match_labels(output.outputs, output.labels)
    absolute = [np.abs(answered - true).mean(axis=1) for answered, true in blocks_in_pairs(outputs, exact)]
    if numerics.count_values(exact) > numerics.MANY_VALUES:
        r_squared = weighted_statistics.pooled_r_squared(*numerics.squared_deviations(outputs, exact))
    else:
        r_squared = weighted_statistics.r_squared(outputs.astype(np.float64), exact.astype(np.float64))
    return {
        "mae": weighted_statistics.mean(np.concatenate(absolute)),
        "rmse": weighted_statistics.root_mean(squared_errors(outputs, exact)),
        "r2": r_squared,
    }


def check(output: EvaluatedOutput) -> None:
    if output.labels is not None:
        tasks.match_labels(output.outputs, output.labels)


METRICS = TaskMetrics(compute, check)
