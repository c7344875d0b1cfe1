"""Segmentation: mean intersection over union of the classes, and the share of the pixels that are right.

Both are of the pixels of all samples together, as torchmetrics' JaccardIndex and scikit-learn's `jaccard_score` have
them, and not means over the samples; samples are resampled, not pixels.
"""

from driver.analysis import weighted_statistics
from driver.analysis.results import Breakdown
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from shared import positions


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    counts = output.position_counts
    return {
        "miou": weighted_statistics.mean_over_classes(counts, positions.intersection_over_union),
        "pixel_accuracy": weighted_statistics.ratio(counts.right.sum(axis=1), counts.labelled.sum(axis=1)),
    }


def break_down(output: EvaluatedOutput) -> tuple[Breakdown, ...]:
    """The intersection over union of each class."""
    return (Breakdown("class", "iou", output.position_counts.summarize(positions.intersection_over_union)),)


def check(output: EvaluatedOutput) -> None:
    if output.labels is not None:
        positions.check_range(output.labels, positions.count_classes(output.outputs, output.labels))


METRICS = TaskMetrics(compute, check, break_down)
