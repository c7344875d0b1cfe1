"""Tagging: the share of the tokens with the right tag, and F1 of the tags; samples are resampled, not tokens."""

from driver.analysis import weighted_statistics
from driver.analysis.results import Breakdown
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from driver.analysis.tasks.segmentation import check
from shared import positions


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    counts = output.position_counts
    return {
        "token_accuracy": weighted_statistics.ratio(counts.right.sum(axis=1), counts.labelled.sum(axis=1)),
        "token_f1": weighted_statistics.mean_over_classes(counts, positions.f1_scores),
    }


def break_down(output: EvaluatedOutput) -> tuple[Breakdown, ...]:
    """F1 of each tag."""
    return (Breakdown("class", "tag_f1", output.position_counts.summarize(positions.f1_scores)),)


METRICS = TaskMetrics(compute, check, break_down)
