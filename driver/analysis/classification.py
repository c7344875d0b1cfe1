"""The metrics of a classification: accuracy, classes, confusion and calibration, and what of it changed."""

from dataclasses import replace
from typing import Any

from driver.analysis import statistics
from driver.analysis.calibration_error import compute_calibration_error
from driver.analysis.evaluation import Answer
from driver.analysis.results import SIGNIFICANT, Losing, Variant
from shared import tasks

IN_JSON = 100  # classes: a confusion of more is left out, since it has a cell for each pair
IN_TABLE, PAIRS = 24, 20  # classes whose confusion the page shows whole; else so many pairs


def describe_classes(row: Variant, own: Answer, base: Answer | None) -> Variant:
    """The row with what its answers say of each class, and against `base`."""
    row = replace(row, **count_classes(own))
    return row if base is None else compare_classes(row, base, own)


def count_classes(own: Answer) -> dict[str, Any]:
    """The fields of a row that need no reference: calibration error, counts of each class, confusion."""
    labels, top = own.classes, own.top
    classes = tasks.count_classes(own.outputs)
    table = statistics.confusion_matrix(top, labels, classes).tolist() if classes <= IN_JSON else []
    return {
        "ece": compute_calibration_error(own.confidence, own.likeliest == labels),
        "classes": tuple(statistics.count_per_class(top, labels, classes)),
        "confusion": tuple(map(tuple, table)),
        "confused": tuple(statistics.find_confused_pairs(top, labels, PAIRS)) if classes > IN_TABLE else (),
    }


def compare_classes(row: Variant, base: Answer, own: Answer) -> Variant:
    """The row with its pairs and the classes that lose, compared with `base`."""
    classes = tasks.count_classes(own.outputs)
    losing = statistics.find_losing_classes(base.right, own.right, own.classes, classes)
    return replace(
        row,
        paired=own.pair_with(base),
        losing=tuple(
            Losing(label, pairs) for label, pairs in losing if pairs.p_holm is not None and pairs.p_holm < SIGNIFICANT
        ),
    )
