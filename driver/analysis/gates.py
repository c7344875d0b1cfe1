"""Limits of the experiment, held against the rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from driver.analysis import metric_specs
from driver.analysis.results import Gate, Variant
from driver.experiment.model import Bound, Gates
from driver.experiment.task_specs import DEFAULT_TASK, TASKS
from driver.experiment.validation import KINDS
from shared.errors import CrossquantError

NEEDS = {"auc": "labels of sound samples and of anomalies", "top5": "more than five classes"}


def evaluate(limits: Gates, rows: Iterable[Variant], task: str = DEFAULT_TASK) -> Iterator[Gate]:
    """A gate for each bound on each row that has the figure; a row without figures has a status that tells.

    CrossquantError for a figure that the task has not: a gate that is never checked would seem to hold.
    """
    rows = list(rows)
    check_figures(limits, task, rows)
    for row in rows:
        if not_held(limits, row):
            yield from on(row, limits.saturating)
        else:
            yield from on(row, limits.quantized if row.quantized else limits.float)


def not_held(limits: Gates, row: Variant) -> tuple[Gate, ...]:
    """The gates on quantized variants, where this one doesn't hold them all, its products saturated on the CPU that
    answered, and the experiment has other gates for that.
    """
    if not row.saturated or not any(on(row, limits.saturating)):
        return ()
    found = tuple(on(row, limits.quantized))
    return () if all(gate.holds for gate in found) else found


def on(row: Variant, bounds: Mapping[str, Bound]) -> Iterator[Gate]:
    for figure, bound in bounds.items():
        value = measured(row, figure)
        if value is not None:
            yield from check(row, figure, bound, value)


def check_figures(limits: Gates, task: str, rows: Sequence[Variant]) -> None:
    judged = [row for row in rows if row.headline is not None]
    for kind in KINDS:
        for figure in getattr(limits, kind):
            if figure not in TASKS[task].gates:
                why = " (there are no labels)" if TASKS[task].judged_by == "reference" else ""
                raise CrossquantError(
                    f"gates.{kind}.{figure}: the task is {task}{why}, which has no such figure; "
                    f"its gates are {', '.join(TASKS[task].gates)}"
                )
            if figure in NEEDS and judged and all(measured(row, figure) is None for row in judged):
                raise CrossquantError(f"gates.{kind}.{figure}: this figure needs {NEEDS[figure]}: take the gate out")


def measured(row: Variant, figure: str) -> float | None:
    if figure in ("drop_pp", "worse_percent"):
        return lost(row, figure)
    if figure == "changed":
        return None if row.agreement is None else round(1 - row.agreement, 9)
    if found := next((each for each in row.metrics if each.name == figure), None):
        return found.value
    if figure == "sqnr" and row.drift is not None:
        return metric_specs.EXACT_DB if row.drift.sqnr_db is None else row.drift.sqnr_db
    return row.agreement if figure == "agreement" else None


def lost(row: Variant, figure: str) -> float | None:
    """By how much the headline is worse than the reference's: in points, or in percent of it."""
    metric = row.headline
    if metric is None or metric.loss is None:
        return None
    loss = metric.loss * per_unit(row, figure)
    return 0.0 + round(loss, metric_specs.POINT_DIGITS) if metric_specs.spec_of(metric).counted else loss


def per_unit(row: Variant, figure: str) -> float:
    """What a loss is multiplied by: percent of the reference's figure, or points of a share."""
    found = row.headline
    if figure == "drop_pp" or found is None or found.delta is None:
        return 100.0
    return 100 / max(abs(found.value - found.delta), 1e-300)


def check(row: Variant, figure: str, bound: Bound, point: float) -> Iterator[Gate]:
    """With a confidence, it is the worse end of the interval that must hold, not the point."""
    low = high = point
    if bound.confidence is not None:
        low, high = interval(row, figure, bound.confidence)
    if bound.min is not None:
        yield Gate(row.name, figure, "min", bound.min, low, low >= bound.min, bound.confidence)
    if bound.max is not None:
        yield Gate(row.name, figure, "max", bound.max, high, high <= bound.max, bound.confidence)


def interval(row: Variant, figure: str, confidence: float) -> tuple[float, float]:
    """Of the figure, at `confidence`."""
    from driver.analysis import statistics  # noqa: PLC0415 - SciPy takes half a second to import

    if not metric_specs.spec_of(row.headline).counted:
        return resampled(row, figure, confidence)
    if figure == "accuracy":
        right, total = (sum(getattr(count, name) for count in row.classes) for name in ("right", "total"))
        found = statistics.wilson(right, total, confidence)
        return found.low, found.high
    pairs, drift = row.paired, row.drift
    assert pairs is not None  # or there would be no point
    assert drift is not None
    if figure in ("changed", "agreement"):
        changed = drift.changed or 0
        found = statistics.wilson(changed if figure == "changed" else drift.images - changed, drift.images, confidence)
        return found.low, found.high
    if figure in ("sqnr", "top5"):
        return resampled(row, figure, confidence)
    counts = (pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong)
    found = statistics.newcombe(*counts, confidence)
    return 0.0 - found.high, 0.0 - found.low


def resampled(row: Variant, figure: str, confidence: float) -> tuple[float, float]:
    """From the 95% interval, whose ends are moved as a normal's would be; the point itself where there is none."""
    from driver.analysis import bootstrap  # noqa: PLC0415 - SciPy takes half a second to import

    point = measured(row, figure)
    assert point is not None  # or there would be no gate
    if figure in ("drop_pp", "worse_percent"):
        found, factor = row.headline, per_unit(row, figure)
        span = found.delta_interval if found else None
        signs = -1 if found is not None and found.better == "higher" else 1
        ends = sorted(signs * factor * end for end in (span.low, span.high)) if span else [point, point]
    else:
        known = next((each.interval for each in row.metrics if each.name == figure), None)
        ends = [known.low, known.high] if known else [point, point]
    scale = bootstrap.scale(confidence)
    return point - scale * (point - ends[0]), point + scale * (ends[1] - point)
