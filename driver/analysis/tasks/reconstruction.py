"""An autoencoder: mean squared error, and where anomalies are labelled the area under the ROC curve of that error."""

from collections.abc import Iterator

import numpy as np

from driver.analysis import weighted_statistics
from driver.analysis.bootstrap import Doubles
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from shared import numerics, tasks
from shared.data.samples import Array


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    assert output.inputs is not None
    error, labels = squared_errors(output.outputs, output.inputs), output.labels
    mse = {"mse": weighted_statistics.mean(error)}
    if labels is None or len(np.unique(labels)) < 2:
        return dict(mse)
    return {"auc": weighted_statistics.area_under_roc(error, np.asarray(labels.ravel() > 0)), **mse}


def check(output: EvaluatedOutput) -> None:
    if output.inputs is not None:
        tasks.match_inputs(output.outputs, output.inputs)


def squared_errors(outputs: Array, inputs: Array) -> Doubles:
    """(n,): the mean over each sample's values."""
    exact = numerics.flatten_samples(tasks.match_inputs(outputs, inputs))
    pairs = blocks_in_pairs(numerics.flatten_samples(outputs), exact)
    return np.concatenate([np.square(answered - true).mean(axis=1) for answered, true in pairs])


def blocks_in_pairs(first: Array, second: Array) -> Iterator[tuple[Doubles, Doubles]]:
    """Both arrays in slices of the first axis that fit into memory."""
    for pair in zip(numerics.iterate_blocks(first), numerics.iterate_blocks(second), strict=True):
        yield pair[0].astype(np.float64), pair[1].astype(np.float64)


METRICS = TaskMetrics(compute, check)
