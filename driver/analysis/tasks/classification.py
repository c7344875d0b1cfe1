"""Classification: accuracy, and top-5 accuracy of more than five classes. Where classes have weights, these are in the
headline metric, and the plain accuracy is shown beside it."""

import numpy as np
from numpy.typing import NDArray

from driver.analysis import weighted_statistics
from driver.analysis.bootstrap import WeightedMetric
from driver.analysis.tasks.base import Computation, EvaluatedOutput, Flags, TaskMetrics
from shared import numerics, tasks
from shared.data.samples import BALANCED, About, Array
from shared.errors import CrossquantError

TOP = 5


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    weighted: dict[str, Computation] = {"weighted_accuracy": weigh(output)} if output.about.class_weights else {}
    plain: dict[str, Computation] = {"accuracy": output.right}
    if numerics.count_values(output.outputs) > TOP:
        plain["top5"] = flag_top_answers(output)
    return weighted | plain


def weigh(output: EvaluatedOutput) -> WeightedMetric:
    """The accuracy by the weights of the classes; where these are balanced, the mean of the classes' accuracies."""
    right = output.right.astype(np.float64)
    if output.about.class_weights == BALANCED:
        return weighted_statistics.mean_of_classes(right, output.classes)
    weights = tasks.weigh_samples(output.about, output.classes)
    return weighted_statistics.ratio(weights * right, weights)


def flag_top_answers(output: EvaluatedOutput, most: int = TOP) -> Flags:
    """(samples,): do fewer than `most` classes score higher than the label's? Of equal ones the first comes first."""
    ranks, start = [], 0
    for block in numerics.iterate_blocks(numerics.flatten_samples(output.outputs), numerics.CACHED_VALUES):
        ranks.append(count_higher(block, output.classes[start : start + len(block)]))
        start += len(block)
    return np.concatenate(ranks) < most


def count_higher(outputs: Array, labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """(samples,): how many classes are before the label's, by their values and then by their numbers."""
    labelled = np.take_along_axis(outputs, labels[:, None], axis=1)
    comes_before = np.arange(outputs.shape[1]) < labels[:, None]
    return np.asarray(((outputs > labelled) | ((outputs == labelled) & comes_before)).sum(axis=1))


def check(output: EvaluatedOutput) -> None:
    if output.labels is not None:
        labels, weights = read_class_labels(output.outputs, output.labels), output.about.class_weights
        if not isinstance(weights, str) and weights and labels.size and labels.max() >= len(weights):
            raise CrossquantError(
                f"there are {len(weights)} class weights, and a label is {labels.max()}: give one a class"
            )


def read_class_labels(outputs: Array, labels: Array) -> NDArray[np.intp]:
    """The class of each sample, (samples,). CrossquantError where a label is none of the model's classes."""
    classes = tasks.count_classes(outputs)
    if labels.size != len(labels):
        raise CrossquantError(f"labels of {labels.shape}: a sample must have one class; see docs/your-data.md")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise CrossquantError(
            f"labels from {labels.min()} to {labels.max()}, but the model answers {classes} classes: "
            "number the classes from 0, and give the model that was trained on them"
        )
    return labels.ravel().astype(np.intp)


def name_headline(about: About) -> str:
    return "weighted_accuracy" if about.class_weights else "accuracy"


METRICS = TaskMetrics(compute, check, name_headline=name_headline)
