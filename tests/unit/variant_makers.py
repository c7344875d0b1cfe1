"""Rows of a classification, made from their accuracy and what changed, and what follows from their pairs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from driver.analysis import assessment
from driver.analysis.facts import Assessment
from driver.analysis.metric_specs import difference_in_points
from driver.analysis.paired_shares import PairedCounts
from driver.analysis.results import Drift, Interval, Metric, Paired, Variant
from driver.experiment.model import HERE, Dataset, Experiment, Model
from driver.experiment.tolerance import DEFAULT, Tolerance
from shared.contract import Status

IMAGES = 10_000
REFERENCE = "keras.fp32"
EXPERIMENT = Experiment("own", Model(()), Dataset("own", ()), {}, REFERENCE)


def accuracy_of(row: Variant) -> float | None:
    """0-1; None of a row that has no accuracy."""
    metric = row.metric("accuracy")
    return metric and metric.value


def interval_of(row: Variant) -> Interval | None:
    """Of the accuracy."""
    metric = row.metric("accuracy")
    return metric and metric.interval


def difference_of(row: Variant) -> float | None:
    """Of the accuracy to the reference's, in percentage points."""
    return difference_in_points(row.metric("accuracy"))


KNOWN = {
    "accuracy": accuracy_of,
    "delta_pp": difference_of,
    "agreement": lambda row: row.agreement,
    "max_abs_diff": lambda row: row.max_abs_diff,
    "interval": interval_of,
}  # what a test gives of a row's accuracy and of its drift


def make_variant(name: str, image: str, recipe: str, status: Status = "ok", **known: Any) -> Variant:
    """A Variant, whose accuracy, `delta_pp`, interval, agreement and `max_abs_diff` go where they belong."""
    return change(Variant(name, image, recipe, status), **known)


def change(row: Variant, **changes: Any) -> Variant:
    """`row` with other values of fields, or of what it tells of its accuracy and its drift."""
    values = {name: changes.pop(name, read(row)) for name, read in KNOWN.items()}
    row = replace(row, **changes)
    given_drift = row.drift if "drift" in changes else None
    return replace(
        row,
        metrics=(*make_accuracy(values, row.paired), *(each for each in row.metrics if each.name != "accuracy")),
        drift=given_drift or drift_of(values, row.drift),
    )


def make_accuracy(known: dict[str, Any], pairs: Paired | None) -> tuple[Metric, ...]:
    if known["accuracy"] is None and known["delta_pp"] is None:
        return ()
    accuracy = 0.9 if known["accuracy"] is None else known["accuracy"]
    delta = None if known["delta_pp"] is None else known["delta_pp"] / 100
    alone = Metric("accuracy", accuracy, known["interval"], delta, None, None, "higher")
    if pairs is None:
        return (alone,)
    ends = Interval(pairs.interval_pp.low / 100, pairs.interval_pp.high / 100)
    delta = pairs.delta_pp / 100
    return (replace(alone, delta=delta, delta_interval=ends, p_value=pairs.p_value),)


def drift_of(known: dict[str, Any], drift: Drift | None) -> Drift | None:
    if known["agreement"] is None and known["max_abs_diff"] is None:
        return drift
    base = drift or Drift(IMAGES, 0, 1.0, 0.0, 0.0, None, 1.0, 0.0)
    agreement = base.agreement if known["agreement"] is None else known["agreement"]
    largest = base.max_abs if known["max_abs_diff"] is None else known["max_abs_diff"]
    return replace(base, agreement=agreement, changed=round(base.images * (1 - (agreement or 0))), max_abs=largest)


def count_pairs(pairs: Paired) -> PairedCounts:
    return PairedCounts(pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong)


def assess_table(
    counts: PairedCounts, competing: int = 1, target: str = HERE, tolerance: Tolerance = DEFAULT
) -> Assessment:
    """What a table of pairs shows, at a level for so many candidates."""
    return assessment.assess_counts(target, "accuracy", counts, tolerance, competing)


def assess_pairs(pairs: Paired, competing: int = 1, target: str = HERE, tolerance: Tolerance = DEFAULT) -> Assessment:
    return assess_table(count_pairs(pairs), competing, target, tolerance)


def assess(rows: Iterable[Variant], reference: str = REFERENCE, tolerance: Tolerance = DEFAULT) -> list[Variant]:
    """The rows with what their pairs show on this host, of all that have any but the reference at once."""
    rows = list(rows)
    candidates = {row.name for row in rows if row.status == "ok" and row.paired and row.name != reference}
    return [
        replace(row, assessments=(assess_pairs(row.paired, len(candidates), tolerance=tolerance),))
        if row.paired and row.name in candidates
        else row
        for row in rows
    ]
