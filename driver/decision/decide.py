"""What to ship, and why, as data: rules on the metrics of a comparison, each written down and tested.

1. A variant is sound if its status is `ok` and all its gates hold, those included that the experiment doesn't hold it
   to on a CPU where its products saturate.
2. It is significantly worse than the reference if it gets fewer images right and McNemar's exact test, after Holm's
   correction over the rows, gives p < 0.05. Of another task than classification it is the headline metric that must be
   worse, by more than the margin in driver/analysis/metric_specs.py, and the paired bootstrap that gives p.
3. Of the sound variants that are not significantly worse, the fastest at batch 1 on one thread is shipped. Those within
   the noise of the timings count as equally fast: of them the smallest file wins, then the higher accuracy.
4. Every other variant has a reason why it was not chosen: its status, a gate, a significant loss, or that it is
   slower.
5. Where the test set is too small to tell a drop of the size that the gate allows, the decision says so, and how many
   images would tell.
6. Where the shipped variant was run on other CPUs too, the decision says what became of it there. Where it gets
   significantly fewer images right on one (McNemar, p < 0.05), the decision offers what doesn't: of the variants that
   were run there and lose nothing, one that is not significantly worse than the reference if there is one, the
   fastest of them.
7. A quantized variant that is slower than the float one of its framework, beyond the noise, has a warning.
8. Without labels only fidelity to the reference is known. The decision says so, and rests on the gates alone:
   a quantized variant without a gate on its fidelity is not shipped, and a float one only if its SQNR is 40 dB or more.
"""

from collections.abc import Mapping, Sequence

from driver.analysis.facts import (
    Caveat,
    ComparedWith,
    Decision,
    FloatTooFar,
    GateFails,
    NearEnough,
    NegligiblyWorse,
    NoCandidate,
    NoFidelityGate,
    NoOtherVariant,
    NoResult,
    NothingFaster,
    NothingToCompareWith,
    NotSignificantlyWorse,
    NotTimed,
    OnlyFidelityKnown,
    Reason,
    ReferenceHasNoAnswers,
    Rejection,
    SignificantlyWorse,
    SlowerThanFloat,
)
from driver.analysis.results import Gate, Noise, Variant
from driver.decision import caveats, fidelity_rule
from driver.decision.criteria import (
    compute_price,
    goodness,
    is_negligibly_worse,
    is_worse,
    milliseconds,
    paired_difference,
)
from driver.experiment.model import Gates
from driver.experiment.task_specs import DEFAULT_TASK, TASKS

Unsound = Mapping[str, GateFails | NoFidelityGate | FloatTooFar]  # by variant


def decide(
    rows: Sequence[Variant],
    reference: str,
    gates: Sequence[Gate],
    noise: Sequence[Noise],
    limits: Gates,
    task: str = DEFAULT_TASK,
) -> Decision:
    """The decision on `rows`; `limits` are the experiment's gates."""
    only_fidelity = TASKS[task].evaluated_against == "reference"
    unsound: Unsound = {
        **(fidelity_rule.find_missing_evidence(rows, reference, gates) if only_fidelity else {}),
        **{gate.variant: describe_failure(gate) for gate in reversed(gates) if not gate.holds},
    }
    base = next((row for row in rows if row.name == reference and row.headline is not None), None)
    candidates = [row for row in rows if row.status == "ok" and row.name not in unsound and not is_worse(row)]
    floor = max((item.share for item in noise), default=0.0)
    if base is None or not candidates:
        reason = ReferenceHasNoAnswers() if base is None else NoCandidate()
        return Decision("ship_nothing", "", (reason,), reject(rows, None, unsound, floor))
    timed = [row for row in candidates if row.latency_ms is not None]
    chosen = pick_fastest(timed or candidates, floor)
    found_caveats: tuple[Caveat, ...] = (
        *([OnlyFidelityKnown(reference)] if only_fidelity else []),
        *caveats.check_power(chosen, base, limits),
        *caveats.check_other_cpus(chosen, [row for row in rows if row.name not in unsound], floor),
    )
    return Decision(
        "keep_reference" if chosen.name == base.name else "ship",
        chosen.name,
        (*give_reasons(chosen, base, rows, floor), *find_slowness(chosen)),
        reject([row for row in rows if row.name != chosen.name], chosen, unsound, floor),
        found_caveats,
    )


def pick_fastest(candidates: Sequence[Variant], floor: float) -> Variant:
    """The fastest; of those within the noise the smallest, then the most accurate."""
    fastest = min(milliseconds(row) for row in candidates)
    equal = [row for row in candidates if milliseconds(row) <= fastest * (1 + floor)]
    return min(equal, key=lambda row: (row.size_bytes or 0, -goodness(row)))


def give_reasons(chosen: Variant, base: Variant, rows: Sequence[Variant], floor: float) -> tuple[Reason, ...]:
    """Why the chosen variant."""
    if chosen.name == base.name:
        others = any(row.status == "ok" for row in rows if row.name != base.name)
        return (NothingFaster(base.headline.name if base.headline else "accuracy") if others else NoOtherVariant(),)
    return describe_standing(chosen), ComparedWith(base.name, compute_price(chosen, base, floor))


def describe_standing(chosen: Variant) -> NearEnough | NegligiblyWorse | NotSignificantlyWorse:
    """How the chosen variant is to the reference."""
    if chosen.headline is not None and chosen.headline.name in fidelity_rule.METRICS:
        return NearEnough(fidelity_rule.list_fidelity(chosen))
    difference = paired_difference(chosen)
    return NegligiblyWorse(difference) if is_negligibly_worse(chosen) else NotSignificantlyWorse(difference)


def find_slowness(row: Variant) -> tuple[SlowerThanFloat, ...]:
    """Rule 7."""
    return tuple(warning for warning in row.warnings if isinstance(warning, SlowerThanFloat))


def describe_failure(gate: Gate) -> GateFails:
    return GateFails(gate.metric, gate.bound, gate.limit, gate.value)


def reject(rows: Sequence[Variant], chosen: Variant | None, unsound: Unsound, floor: float) -> tuple[Rejection, ...]:
    return tuple(
        Rejection(row.name, (find_rejection(row, chosen, unsound, floor), *find_slowness(row))) for row in rows
    )


def find_rejection(row: Variant, chosen: Variant | None, unsound: Unsound, floor: float) -> Reason:
    """Rule 4; `unsound` has the reason of those that aren't sound."""
    if row.status != "ok":
        return NoResult(row.status)
    if row.name in unsound:
        return unsound[row.name]
    if is_worse(row):
        return SignificantlyWorse(paired_difference(row))
    if chosen is None:
        return NothingToCompareWith()
    if row.latency_ms is None:
        return NotTimed()
    return ComparedWith(chosen.name, compute_price(row, chosen, floor))
