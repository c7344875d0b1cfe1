"""What to ship, and why, as data: rules on the metrics of a comparison, each written down and tested.

docs/decision.md explains them, with their sources.

1. A variant is sound if its status is `ok` and all its gates hold, those included that the experiment doesn't hold it
   to on a CPU where its products saturate.
2. A sound variant may be shipped if it is shown good enough on every target of the experiment
   (driver/analysis/assessment.py): the bound of its loss against the reference is below the tolerance, at a level that
   is kept over all variants at once. That no loss was found is not enough.
3. Of these and the reference, the best by the criterion that the experiment prefers is shipped: the fastest, unless it
   says otherwise. Of those that the noise of the timings can't tell from it the smallest file wins, then the accuracy.
4. Where nothing else is shown good enough, the reference is kept, and the decision says how many samples would show it.
5. Every other variant has a reason why it was not chosen: its status, a gate, the target on which it is not shown to be
   good enough, or what it costs against the one that is shipped.
6. Without labels only fidelity to the reference is known. What is near enough the experiment must declare: a tolerance
   in decibels, or a gate on fidelity. A float variant must have 40 dB where nothing is declared.
7. A quantized variant that is slower than the float one of its framework, beyond the noise, has a warning.
"""

from collections.abc import Mapping, Sequence

from driver.analysis.facts import (
    ComparedWith,
    Decision,
    GateFails,
    GateUnchecked,
    MetricValue,
    NoOtherVariant,
    NoResult,
    NothingBetter,
    NothingShown,
    NothingToCompareWith,
    NoTolerance,
    NotShown,
    NotTimed,
    Reason,
    ReferenceHasNoAnswers,
    ReferenceUnsound,
    Rejection,
    ShownGoodEnough,
    ShownWorse,
    SlowerThanFloat,
)
from driver.analysis.results import Gate, UncheckedGate, Variant
from driver.decision import caveats
from driver.decision.criteria import TimingNoise, compute_price, find_obstacle, is_shown, pick_best
from driver.experiment.model import Experiment, Prefer
from driver.experiment.task_specs import DEFAULT_TASK, FIDELITY

Unsound = Mapping[str, GateFails | GateUnchecked]  # by variant
CRITERIA = ("latency", "throughput", "size", "accuracy")


def decide(
    rows: Sequence[Variant],
    gates: Sequence[Gate | UncheckedGate],
    noise: TimingNoise,
    experiment: Experiment,
    task: str = DEFAULT_TASK,
) -> Decision:
    """The decision on `rows`, which have their assessments on the experiment's targets."""
    reference, prefer = experiment.reference, experiment.prefer
    unsound = {gate.variant: failure for gate in reversed(gates) if (failure := describe_failure(gate)) is not None}
    base = next((row for row in rows if row.name == reference and row.headline is not None), None)
    sound = [row for row in rows if row.status == "ok" and row.name not in unsound]
    shown = [row for row in sound if base is not None and is_shown(row)]
    candidates = [row for row in sound if row in shown or row is base]
    if not candidates:
        reason = ReferenceHasNoAnswers() if base is None else ReferenceUnsound()
        return Decision("ship_nothing", "", (reason,), reject(rows, None, unsound, noise), preferred=prefer.criterion)
    chosen = pick_best(candidates, prefer, noise.share)
    kept = chosen.name == reference
    reasons = explain_keeping(rows, sound, shown, prefer) if kept else explain_choice(chosen, base, noise)
    others = [row for row in rows if row.name != chosen.name]
    return Decision(
        "keep_reference" if kept else "ship",
        chosen.name,
        (*reasons, *find_slowness(chosen)),
        reject(others, chosen, unsound, noise),
        tuple(caveats.list_caveats(chosen, reference, experiment.targets, task)),
        tuple(row.name for row in shown),
        {name: pick_best(candidates, choose_preference(name, prefer), noise.share).name for name in CRITERIA},
        prefer.criterion,
    )


def choose_preference(criterion: str, prefer: Prefer) -> Prefer:
    """The experiment's own preference where it is of this criterion; else the plain one."""
    return prefer if prefer.criterion == criterion else Prefer(criterion)  # type: ignore[arg-type]


def explain_choice(chosen: Variant, base: Variant | None, noise: TimingNoise) -> tuple[Reason, ...]:
    """Why a variant beside the reference: it is shown good enough, and better by so much."""
    shown = ShownGoodEnough(chosen.assessments)
    return (shown,) if base is None else (shown, ComparedWith(base.name, compute_price(chosen, base, noise)))


def explain_keeping(
    rows: Sequence[Variant], sound: Sequence[Variant], shown: Sequence[Variant], prefer: Prefer
) -> tuple[Reason, ...]:
    """Why the reference."""
    if shown:
        return (NothingBetter(prefer.criterion),)
    if sum(row.status == "ok" for row in rows) < 2:
        return (NoOtherVariant(),)
    needed = [
        (item.needed, row.name)
        for row in sound
        if (item := find_obstacle(row)) is not None and item.outcome == "not_shown" and item.needed is not None
    ]
    least, name = min(needed, default=(None, ""))
    return (NothingShown(name, least),)


def find_slowness(row: Variant) -> tuple[SlowerThanFloat, ...]:
    """Rule 7."""
    return tuple(warning for warning in row.warnings if isinstance(warning, SlowerThanFloat))


def describe_failure(gate: Gate | UncheckedGate) -> GateFails | GateUnchecked | None:
    """Why the gate is none that the variant holds; None where it holds it."""
    if isinstance(gate, UncheckedGate):
        return GateUnchecked(gate.metric)
    return None if gate.holds else GateFails(gate.metric, gate.bound, gate.limit, gate.value)


def reject(
    rows: Sequence[Variant],
    chosen: Variant | None,
    unsound: Unsound,
    noise: TimingNoise,
) -> tuple[Rejection, ...]:
    return tuple(
        Rejection(row.name, (find_rejection(row, chosen, unsound, noise), *find_slowness(row))) for row in rows
    )


def find_rejection(row: Variant, chosen: Variant | None, unsound: Unsound, noise: TimingNoise) -> Reason:
    """Rule 5; `unsound` has the gate of those that fail one."""
    if row.status != "ok":
        return NoResult(row.status)
    if row.name in unsound:
        return unsound[row.name]
    if (obstacle := find_obstacle(row)) is not None:
        return ShownWorse(obstacle) if obstacle.outcome == "worse" else NotShown(obstacle)
    if row.headline is not None and row.headline.name in FIDELITY and not row.assessments and row.quantized:
        return NoTolerance(tuple(MetricValue(metric.name, metric.value) for metric in row.metrics))
    if chosen is None:
        return NothingToCompareWith()
    if row.latency_ms is None:
        return NotTimed()
    return ComparedWith(chosen.name, compute_price(row, chosen, noise))
