"""The figures of a classification: accuracy, classes, confusion and calibration, and what of it changed."""

from dataclasses import replace
from typing import Any

from driver.analysis import output_drift, statistics, timing_summary
from driver.analysis.evaluation import Answer
from driver.analysis.results import SIGNIFICANT, Losing, Variant
from shared import numerics

IN_JSON = 100  # classes: a confusion of more is left out, since it has a cell for each pair
IN_TABLE, PAIRS = 24, 20  # classes whose confusion the page shows whole; else so many pairs


def judged(known: Variant, own: Answer, base: Answer | None) -> Variant:
    """The row with all that its answers say."""
    truth = own.truth
    before = None if base is None else base.outputs
    known = replace(known, **timing_summary.figures(own.outputs, own.labels, before, truth.logits), **spread(own))
    return known if base is None else against(known, base, own)


def spread(own: Answer) -> dict[str, Any]:
    """What the answers say by themselves: interval of the accuracy, calibration error, and a count for each class."""
    probabilities, labels = own.probabilities, own.labels
    top, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    table = statistics.confusion(top, labels, classes).tolist() if classes <= IN_JSON else []
    return {
        "interval": statistics.wilson(int((top == labels).sum()), len(labels)),
        "ece": statistics.calibration_error(probabilities, labels),
        "classes": tuple(statistics.per_class(top, labels, classes)),
        "confusion": tuple(map(tuple, table)),
        "confused": tuple(statistics.confused(top, labels, PAIRS)) if classes > IN_TABLE else (),
    }


def against(known: Variant, base: Answer, own: Answer) -> Variant:
    """The row with its pairs, its drift and the classes that lose."""
    classes = max(2, numerics.count_values(own.outputs))
    losing = statistics.classes_that_lose(base.right, own.right, own.labels, classes)
    return replace(
        known,
        paired=statistics.paired(base.right, own.right),
        drift=output_drift.drift(base.outputs, own.outputs),
        losing=tuple(Losing(label, pairs) for label, pairs in losing if pairs.corrected_p_value < SIGNIFICANT),
    )
