"""The experiment's gates, checked on the rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from driver.analysis import metric_specs
from driver.analysis.results import Gate, Variant
from driver.experiment.model import Bound, Gates
from driver.experiment.task_specs import DEFAULT_TASK, TASKS
from driver.experiment.validation import KINDS
from shared.errors import CrossquantError

NEEDS = {"auc": "labels of sound samples and of anomalies", "top5": "more than five classes"}


def check_gates(limits: Gates, rows: Iterable[Variant], task: str = DEFAULT_TASK) -> Iterator[Gate]:
    """A gate for each bound on each row that has the metric; a row without metrics has a status that says why.

    CrossquantError for a metric that the task has not: a gate that is never checked would seem to hold.
    """
    rows = list(rows)
    check_names(limits, task, rows)
    for row in rows:
        if find_gates_not_held(limits, row):
            yield from check_bounds(row, limits.saturating)
        else:
            yield from check_bounds(row, limits.quantized if row.quantized else limits.float)


def find_gates_not_held(limits: Gates, row: Variant) -> tuple[Gate, ...]:
    """The gates on quantized variants, where this one doesn't hold them all, its products saturated on the CPU that
    answered, and the experiment has other gates for that.
    """
    if not row.saturated or not any(check_bounds(row, limits.saturating)):
        return ()
    gates = tuple(check_bounds(row, limits.quantized))
    return () if all(gate.holds for gate in gates) else gates


def check_bounds(row: Variant, bounds: Mapping[str, Bound]) -> Iterator[Gate]:
    for name, bound in bounds.items():
        value = read_value(row, name)
        if value is not None:
            yield from check_bound(row, name, bound, value)


def check_names(limits: Gates, task: str, rows: Sequence[Variant]) -> None:
    evaluated = [row for row in rows if row.headline is not None]
    for kind in KINDS:
        for name in getattr(limits, kind):
            if name not in TASKS[task].gates:
                why = " (there are no labels)" if TASKS[task].evaluated_against == "reference" else ""
                raise CrossquantError(
                    f"gates.{kind}.{name}: the task is {task}{why}, which has no such metric; "
                    f"its gates are {', '.join(TASKS[task].gates)}"
                )
            if name in NEEDS and evaluated and all(read_value(row, name) is None for row in evaluated):
                raise CrossquantError(f"gates.{kind}.{name}: this metric needs {NEEDS[name]}: take the gate out")


def read_value(row: Variant, name: str) -> float | None:
    if name in ("drop_pp", "worse_percent"):
        return compute_loss(row, name)
    if name == "changed":
        return None if row.agreement is None else round(1 - row.agreement, 9)
    if metric := row.metric(name):
        return metric.value
    if name == "sqnr" and row.drift is not None:
        return metric_specs.EXACT_DB if row.drift.sqnr_db is None else row.drift.sqnr_db
    return row.agreement if name == "agreement" else None


def compute_loss(row: Variant, name: str) -> float | None:
    """By how much the headline metric is worse than the reference's: in points, or in percent of it."""
    metric = row.headline
    if metric is None or metric.loss is None:
        return None
    loss = metric.loss * compute_factor(row, name)
    return 0.0 + round(loss, metric_specs.POINT_DIGITS) if metric_specs.spec_of(metric).counted else loss


def compute_factor(row: Variant, name: str) -> float:
    """What a loss is multiplied by: percent of the reference's metric, or points of a share."""
    headline = row.headline
    if name == "drop_pp" or headline is None or headline.delta is None:
        return 100.0
    return 100 / max(abs(headline.value - headline.delta), 1e-300)


def check_bound(row: Variant, name: str, bound: Bound, point: float) -> Iterator[Gate]:
    """With a confidence, it is the worse end of the interval that must hold, not the point."""
    low = high = point
    if bound.confidence is not None:
        low, high = compute_interval(row, name, bound.confidence)
    if bound.min is not None:
        yield Gate(row.name, name, "min", bound.min, low, low >= bound.min, bound.confidence)
    if bound.max is not None:
        yield Gate(row.name, name, "max", bound.max, high, high <= bound.max, bound.confidence)


def compute_interval(row: Variant, name: str, confidence: float) -> tuple[float, float]:
    """The ends of the metric's interval at `confidence`."""
    from driver.analysis import statistics  # noqa: PLC0415 - SciPy takes half a second to import

    if not metric_specs.spec_of(row.headline).counted:
        return scale_interval(row, name, confidence)
    if name == "accuracy":
        right, total = (sum(getattr(count, key) for count in row.classes) for key in ("right", "total"))
        span = statistics.wilson_interval(right, total, confidence)
        return span.low, span.high
    pairs, drift = row.paired, row.drift
    assert pairs is not None  # or there would be no point
    assert drift is not None
    if name in ("changed", "agreement"):
        changed = drift.changed or 0
        span = statistics.wilson_interval(
            changed if name == "changed" else drift.images - changed, drift.images, confidence
        )
        return span.low, span.high
    if name in ("sqnr", "top5"):
        return scale_interval(row, name, confidence)
    counts = (pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong)
    span = statistics.newcombe_interval(*counts, confidence)
    return 0.0 - span.high, 0.0 - span.low


def scale_interval(row: Variant, name: str, confidence: float) -> tuple[float, float]:
    """From the 95% interval, whose ends are moved as a normal's would be; the point itself where there is none."""
    from driver.analysis import bootstrap  # noqa: PLC0415 - SciPy takes half a second to import

    point = read_value(row, name)
    assert point is not None  # or there would be no gate
    if name in ("drop_pp", "worse_percent"):
        headline, factor = row.headline, compute_factor(row, name)
        span = headline.delta_interval if headline else None
        signs = -1 if headline is not None and headline.better == "higher" else 1
        ends = sorted(signs * factor * end for end in (span.low, span.high)) if span else [point, point]
    else:
        metric = row.metric(name)
        span = metric.interval if metric else None
        ends = [span.low, span.high] if span else [point, point]
    scale = bootstrap.interval_scale(confidence)
    return point - scale * (point - ends[0]), point + scale * (ends[1] - point)
