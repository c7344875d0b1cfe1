"""Several labels a sample, each there or not: mean average precision and F1."""

from driver.analysis import weighted_statistics
from driver.analysis.tasks.base import Computation, Judged
from shared import numerics, tasks


def compute(judged: Judged) -> dict[str, Computation]:
    assert judged.labels is not None
    outputs, positive = numerics.flatten_samples(judged.outputs), tasks.flag_positives(judged.outputs, judged.labels)
    logits = numerics.are_logits(outputs) if judged.logits is None else judged.logits
    predicted = outputs > (0.0 if logits else 0.5)
    return {
        "map": weighted_statistics.mean_average_precision(outputs, positive),
        "f1": weighted_statistics.f1(predicted, positive, macro=False),
        "f1_macro": weighted_statistics.f1(predicted, positive, macro=True),
    }


def check(judged: Judged) -> None:
    if judged.labels is not None:
        tasks.match_labels(judged.outputs, judged.labels)
