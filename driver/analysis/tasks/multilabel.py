"""Several labels a sample, each there or not: mean average precision and F1."""

from driver.analysis import weighted_statistics
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from shared import numerics, tasks


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    assert output.labels is not None
    outputs, positive = numerics.flatten_samples(output.outputs), tasks.flag_positives(output.outputs, output.labels)
    logits = numerics.are_logits(outputs) if output.logits is None else output.logits
    predicted = outputs > (0.0 if logits else 0.5)
    return {
        "map": weighted_statistics.mean_average_precision(outputs, positive),
        "f1": weighted_statistics.f1(predicted, positive, macro=False),
        "f1_macro": weighted_statistics.f1(predicted, positive, macro=True),
    }


def check(output: EvaluatedOutput) -> None:
    if output.labels is not None:
        tasks.match_labels(output.outputs, output.labels)


METRICS = TaskMetrics(compute, check)
