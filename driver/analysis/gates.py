"""The experiment's gates, checked on the rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from driver.analysis import metric_specs
from driver.analysis.results import Gate, UncheckedGate, Variant
from driver.experiment.model import Bound, Gates
from driver.experiment.task_specs import CLASS_GATES, DEFAULT_TASK, PART_GATES, TASKS
from driver.experiment.validation import KINDS
from shared.errors import CrossquantError

# Of a variant and a gate's metric, its resampled values; None where there are none.
Replicate = Callable[[str, str], Any]
NEEDS = {
    "auc": "labels of sound samples and of anomalies",
    "top5": "more than five classes",
    "weighted_accuracy": "data.class_weights",
    **dict.fromkeys(("recall1", "recall5", "recall10"), "one label a sample, and more samples than it takes"),
    **dict.fromkeys(("spearman", "pearson"), "the number of its pair and a score for each sample"),
}
# In the unit that the name of the gate has; KB and MB are 10³ and 10⁶ bytes.
COSTS: Mapping[str, Callable[[Variant], float | None]] = {
    "p50_ms": lambda row: None if row.latency_ms is None else row.latency_ms.p50,
    "p99_ms": lambda row: None if row.latency_ms is None else row.latency_ms.p99,
    "cold_start_seconds": lambda row: None if row.cold is None else row.cold.answered,
    "size_kb": lambda row: None if row.size_bytes is None else row.size_bytes / 1e3,
    "peak_memory_mb": lambda row: None if row.cold is None else row.cold.peak_bytes / 1e6,
    "throughput": lambda row: row.images_per_second,
}


def check_gates(
    limits: Gates,
    rows: Iterable[Variant],
    task: str = DEFAULT_TASK,
    base: Variant | None = None,
    replicate: Replicate = lambda *_: None,
) -> Iterator[Gate]:
    """A gate for each bound on each row that has the metric; `base` is the reference's row.

    A row without metrics has a status that says why; what else is missing, `find_unchecked_gates` finds. `replicate`
    has the resampled values of a metric that is no count, for limits with a confidence. CrossquantError for a metric
    that the task has not: a gate that is never checked would seem to hold.
    """
    rows = list(rows)
    check_names(limits, task, rows)
    for row in rows:
        yield from check_bounds(row, select_bounds(limits, row, base, replicate), base, replicate)


def select_bounds(
    limits: Gates, row: Variant, base: Variant | None, replicate: Replicate = lambda *_: None
) -> Mapping[str, Bound]:
    """The bounds that this row is held to."""
    if find_gates_not_held(limits, row, base, replicate):
        return limits.saturating
    return limits.quantized if row.quantized else limits.float


def find_gates_not_held(
    limits: Gates, row: Variant, base: Variant | None = None, replicate: Replicate = lambda *_: None
) -> tuple[Gate, ...]:
    """The gates on quantized variants, where this one doesn't hold them all, its products saturated on the CPU that
    answered, and the experiment has other gates for that.
    """
    if not row.saturated or not any(check_bounds(row, limits.saturating, base, replicate)):
        return ()
    gates = tuple(check_bounds(row, limits.quantized, base, replicate))
    return () if all(gate.holds for gate in gates) else gates


def find_unchecked_gates(limits: Gates, rows: Iterable[Variant], base: Variant | None) -> Iterator[UncheckedGate]:
    """Of each row that has a result, the gates on what was not measured."""
    for row in rows:
        yield from find_unmeasured(row, select_bounds(limits, row, base), base)


def find_unmeasured(row: Variant, bounds: Iterable[str], base: Variant | None) -> Iterator[UncheckedGate]:
    if row.status == "ok":
        yield from (UncheckedGate(row.name, name) for name in bounds if read_value(row, name, base) is None)


def check_bounds(
    row: Variant, bounds: Mapping[str, Bound], base: Variant | None = None, replicate: Replicate = lambda *_: None
) -> Iterator[Gate]:
    for name, bound in bounds.items():
        value = read_value(row, name, base)
        if value is not None:
            yield from check_bound(row, name, bound, value, find_worst_part(row, name, base), replicate)


def check_names(limits: Gates, task: str, rows: Sequence[Variant]) -> None:
    evaluated = [row for row in rows if row.headline is not None]
    for kind in KINDS:
        for name in getattr(limits, kind):
            if "." in name:
                check_output_gate(kind, name, rows)
            elif name not in TASKS[task].all_gates:
                why = " (there are no labels)" if TASKS[task].evaluated_against == "reference" else ""
                raise CrossquantError(
                    f"gates.{kind}.{name}: the task is {task}{why}, which has no such metric; "
                    f"its gates are {', '.join(TASKS[task].all_gates)}"
                )
            if name in NEEDS and evaluated and all(read_value(row, name) is None for row in evaluated):
                raise CrossquantError(f"gates.{kind}.{name}: this metric needs {NEEDS[name]}: take the gate out")


def check_output_gate(kind: str, name: str, rows: Sequence[Variant]) -> None:
    """CrossquantError for a gate on another output that has no labels, or on a metric that its task has not."""
    output, _, metric = name.rpartition(".")
    further = {item.output: item for row in rows for item in row.further_outputs}
    if not further:
        return  # nothing was evaluated, or no further output has labels: `find_unchecked_gates` tells
    chosen = next((item for item in further.values() if output in (item.name, str(item.output))), None)
    if chosen is None:
        names = ", ".join(item.name or str(item.output) for item in further.values())
        raise CrossquantError(
            f"gates.{kind}.{name}: no output '{output}' has labels beside the headline's: {names} have"
        )
    if metric not in TASKS[chosen.task].gates:
        raise CrossquantError(
            f"gates.{kind}.{name}: the task of the output is {chosen.task}; its gates are "
            f"{', '.join(TASKS[chosen.task].gates)}"
        )


def read_value(row: Variant, name: str, base: Variant | None = None) -> float | None:
    if "." in name:
        output, _, own_name = name.rpartition(".")
        view = view_output(row, output)
        return None if view is None else read_value(view, own_name)
    if name in COSTS:
        return COSTS[name](row)
    if name in (*PART_GATES, *CLASS_GATES):
        values = read_parts(row, name, base)
        return values[pick_worst(values, name)] if values else None
    if name in ("drop_pp", "worse_percent"):
        return compute_loss(row, name)
    if metric := row.metric(name):
        return metric.value
    return read_drift(row, name)


def read_drift(row: Variant, name: str) -> float | None:
    """How far the outputs are from the reference's: `changed`, `agreement` or `sqnr`."""
    if name == "changed":
        return None if row.agreement is None else round(1 - row.agreement, 9)
    if name == "sqnr" and row.drift is not None:
        return metric_specs.EXACT_DB if row.drift.sqnr_db is None else row.drift.sqnr_db
    return row.agreement if name == "agreement" else None


def read_class_values(row: Variant, name: str, base: Variant | None) -> dict[int, float]:
    """The accuracy of each class that has samples, or by how many points it is below that of `base`."""
    counts = {label: count for label, count in enumerate(row.classes) if count.total}
    if name == "class_accuracy":
        return {label: count.right / count.total for label, count in counts.items()}
    before = base.classes if base is not None and len(base.classes) == len(row.classes) else ()
    return {
        label: 0.0 + round(100 * (before[label].right - count.right) / count.total, metric_specs.POINT_DIGITS)
        for label, count in counts.items()
        if before and before[label].total == count.total
    }


def view_output(row: Variant, output: str) -> Variant | None:
    """The row with the metrics of another output, by its name or number, in place of its own."""
    for further in row.further_outputs:
        if output in (further.name, str(further.output)):
            return replace(
                row, metrics=further.metrics, breakdowns=further.breakdowns, classes=(), paired=None, drift=None
            )
    return None


def read_parts(row: Variant, name: str, base: Variant | None) -> dict[int, float]:
    """The value of each class, or of each step, that a gate on the worst one of them is on."""
    if name in CLASS_GATES:
        return read_class_values(row, name, base)
    found = next((item for item in row.breakdowns if item.metric == PART_GATES[name]), None)
    values = () if found is None else found.values
    return {number: value for number, value in enumerate(values) if value is not None}


def pick_worst(values: Mapping[int, float], name: str) -> int:
    """The class or step with the lowest value, or with the largest one of an error or a drop."""
    highest = name == "class_drop_pp" or (
        name in PART_GATES and metric_specs.METRIC_SPECS[PART_GATES[name]].better == "lower"
    )
    return max(values, key=values.__getitem__) if highest else min(values, key=values.__getitem__)


def find_worst_part(row: Variant, name: str, base: Variant | None) -> int | None:
    """The class or step whose value a gate is on; None of other metrics."""
    output, _, metric = name.rpartition(".")
    view = view_output(row, output) if output else row
    if view is None:
        return None
    values = read_parts(view, metric, base) if metric in (*PART_GATES, *CLASS_GATES) else {}
    return pick_worst(values, metric) if values else None


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


def check_bound(
    row: Variant,
    name: str,
    bound: Bound,
    point: float,
    label: int | None = None,
    replicate: Replicate = lambda *_: None,
) -> Iterator[Gate]:
    """With a confidence, it is the worse end of the interval that must hold, not the point."""
    low = high = point
    if bound.confidence is not None:
        low, high = compute_interval(row, name, bound.confidence, replicate)
    if bound.min is not None:
        yield Gate(row.name, name, "min", bound.min, low, low >= bound.min, bound.confidence, label)
    if bound.max is not None:
        yield Gate(row.name, name, "max", bound.max, high, high <= bound.max, bound.confidence, label)


def compute_interval(row: Variant, name: str, confidence: float, replicate: Replicate) -> tuple[float, float]:
    """The ends of the metric's interval at `confidence`."""
    from driver.analysis import statistics  # noqa: PLC0415 - SciPy takes half a second to import

    if name == "accuracy":
        right, total = (sum(getattr(count, key) for count in row.classes) for key in ("right", "total"))
        span = statistics.wilson_interval(right, total, confidence)
        return span.low, span.high
    pairs, drift = row.paired, row.drift
    if pairs is None or drift is None:  # of a task without classes
        return resampled_interval(row, name, confidence, replicate)
    if name in ("changed", "agreement"):
        changed = drift.changed or 0
        span = statistics.wilson_interval(
            changed if name == "changed" else drift.images - changed, drift.images, confidence
        )
        return span.low, span.high
    if name == "top5":
        metric = row.metric(name)
        assert metric is not None
        span = statistics.wilson_interval(round(metric.value * drift.images), drift.images, confidence)
        return span.low, span.high
    if name != "drop_pp" or not metric_specs.spec_of(row.headline).counted:
        return resampled_interval(row, name, confidence, replicate)
    counts = (pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong)
    span = statistics.newcombe_interval(*counts, confidence)
    return 0.0 - span.high, 0.0 - span.low


def resampled_interval(row: Variant, name: str, confidence: float, replicate: Replicate) -> tuple[float, float]:
    """Between percentiles of the resampled values; the point itself where there are none."""
    from driver.analysis import bootstrap  # noqa: PLC0415 - SciPy takes half a second to import

    point = read_value(row, name)
    assert point is not None  # or there would be no gate
    values = replicate(row.name, name)
    if values is None:
        return point, point
    factor = compute_factor(row, name) if name in ("drop_pp", "worse_percent") else 1.0
    span = bootstrap.percentile_interval(factor * values, confidence)
    return (point, point) if span is None else (span.low, span.high)
