"""A run against an earlier one, the baseline: what may be how much worse, checked as gates.

A limit is written METRIC=LIMIT, with the names that gates have. What the answers say (drop_pp, worse_percent, changed,
class_drop_pp) is compared sample by sample, the baseline's variant in the place of the reference, where both runs
answered the same samples. What a variant costs may be worse by so much in the metric's unit, or by a percentage of what
it was. A variant that had a result and has none any more is worse, whatever the limits say.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from driver.analysis import classification, gates
from driver.analysis.evaluation import replicate_gate
from driver.analysis.metric_specs import METRIC_SPECS
from driver.analysis.results import Baseline, Gate, UncheckedGate, Variant
from driver.comparison import compare
from driver.comparison.run_diff import Run, same_samples
from driver.experiment import gate_limits
from driver.experiment.model import Bound
from driver.experiment.task_specs import COST_GATES, TASKS
from shared.errors import CrossquantError, FieldError
from shared.text import suggest_names

LOSSES = ("drop_pp", "worse_percent", "changed", "class_drop_pp")  # of a variant against itself in the baseline
VALUES = (*COST_GATES, "sqnr", "cosine")  # of a variant in each of the runs
HIGHER = ("throughput",)  # of the costs, what is better the higher it is
FORM = re.compile(r"([a-z0-9_]+)=([0-9]+(?:\.[0-9]+)?)(%?)(?:@([0-9]+(?:\.[0-9]+)?)%)?")
EXAMPLES = "drop_pp=0.5, drop_pp=0.5@95% or p50_ms=10%"


@dataclass(frozen=True)
class Limit:
    """How much worse `metric` may be: by `allowed`, in its own unit, or as a `share` of the baseline's value."""

    text: str
    metric: str
    allowed: float
    share: bool
    confidence: float | None


def parse_limits(texts: Sequence[str]) -> tuple[Limit, ...]:
    return tuple(map(parse_limit, texts))


def parse_limit(text: str) -> Limit:
    """CrossquantError for what is no limit."""
    match = FORM.fullmatch(text)
    if match is None:
        raise CrossquantError(f"--fail-on {text}: must be METRIC=LIMIT, such as {EXAMPLES}")
    metric, number, percent, confidence = match.groups()
    if metric not in (*LOSSES, *VALUES):
        raise CrossquantError(f"--fail-on {text}: no such metric; {suggest_names(metric, (*LOSSES, *VALUES))}")
    allowed = float(number) / 100 if metric in VALUES and percent else gate_limits.read_number(metric, number + percent)
    bound = Bound(max=float(allowed), confidence=float(confidence) / 100 if confidence else None)
    try:
        if metric in LOSSES:
            gate_limits.check_range((), metric, bound)
        gate_limits.check_confidence((), metric if metric in LOSSES else COST_GATES[0], bound)
    except FieldError as error:
        raise CrossquantError(f"--fail-on {text}: {error}") from None
    return Limit(text, metric, float(allowed), bool(percent) and metric in VALUES, bound.confidence)


def check_against_baseline(before: Run, after: Run, limits: Sequence[Limit]) -> Baseline:
    """CrossquantError for a metric that the task has not, or two runs that have no variant in common."""
    check_metrics(after, limits)
    earlier = {row.name: row for row in before.comparison.variants if row.status == "ok"}
    rows = {row.name: row for row in after.comparison.variants if row.status == "ok"}
    common = [name for name in rows if name in earlier]
    if earlier and rows and not common:
        raise CrossquantError(f"'{before.name}' and '{after.name}' have no variant in common: nothing can be compared")
    checked = [check_variant(earlier[name], rows[name], before, after, limits) for name in common]
    old, new = (run.comparison.host.get("cpu", "") for run in (before, after))
    return Baseline(
        before.name,
        tuple(limit.text for limit in limits),
        tuple(gate for gates_of_row, _ in checked for gate in gates_of_row),
        tuple(gate for _, unchecked in checked for gate in unchecked),
        tuple(name for name in earlier if name not in rows),
        "" if old == new else str(old),
    )


def check_metrics(run: Run, limits: Sequence[Limit]) -> None:
    task = run.comparison.task
    known = tuple(name for name in TASKS[task].all_gates if name in (*LOSSES, *VALUES))
    for limit in limits:
        if limit.metric not in known:
            raise CrossquantError(
                f"--fail-on {limit.text}: the task is {task}, which has no such metric; known are {', '.join(known)}"
            )


def check_variant(
    earlier: Variant, row: Variant, before: Run, after: Run, limits: Sequence[Limit]
) -> tuple[list[Gate], list[UncheckedGate]]:
    """The gates of one variant, and those that couldn't be checked."""
    losses, base = compare_answers(row.name, before, after)

    def replicate(name: str, gate: str) -> Any:
        return replicate_gate(after.answers[name], before.answers[name], gate)

    checked: list[Gate] = []
    unchecked: list[UncheckedGate] = []
    for limit in limits:
        if limit.metric in VALUES:
            gates_of_limit = list(check_value(limit, earlier, row))
        else:
            bounds = {limit.metric: Bound(max=limit.allowed, confidence=limit.confidence)}
            gates_of_limit = list(gates.check_bounds(losses, bounds, base, replicate)) if losses else []
        checked += gates_of_limit
        unchecked += [] if gates_of_limit else [UncheckedGate(row.name, limit.metric)]
    return checked, unchecked


def check_value(limit: Limit, earlier: Variant, row: Variant) -> Iterator[Gate]:
    """A gate where both runs have the value; its limit is the baseline's value and what is allowed."""
    value = gates.read_value(earlier, limit.metric)
    if value is None:
        return
    change = limit.allowed * abs(value) if limit.share else limit.allowed
    higher = limit.metric in HIGHER or (limit.metric in METRIC_SPECS and METRIC_SPECS[limit.metric].better == "higher")
    bound = Bound(min=value - change) if higher else Bound(max=value + change)
    for gate in gates.check_bounds(row, {limit.metric: bound}):
        yield replace(gate, before=value)


def compare_answers(name: str, before: Run, after: Run) -> tuple[Variant | None, Variant | None]:
    """The variant with the metrics of its answers against those in the baseline, and the baseline's classes; None where
    the two can't be compared sample by sample.
    """
    one, other = before.answers.get(name), after.answers.get(name)
    if one is None or other is None or len(one.outputs) != len(other.outputs) or not same_samples(before, after):
        return None, None
    image, _, recipe = name.partition(".")
    row = Variant(name, image, recipe, "ok")
    base = classification.describe_classes(row, one, None) if one.truth.spec.has_classes else row
    return compare.add_metrics(row, other, one), base
