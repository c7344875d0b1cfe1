"""What to ship, and why: rules on the figures of a comparison, each written down and tested.

1. A variant is sound if its status is `ok` and all its gates hold, those included that the experiment doesn't hold it
   to on a CPU where its products saturate.
2. It is significantly worse than the reference if it gets fewer images right and McNemar's exact test, after Holm's
   correction over the rows, gives p < 0.05. Of another task than classification it is the headline metric that must be
   worse, by more than the margin in driver/analysis/metric_specs.py, and the paired bootstrap that gives p.
3. Of the sound variants that are not significantly worse, the fastest at batch 1 on one thread is shipped. Those within
   the noise of the timings count as equally fast: of them the smallest file wins, then the higher accuracy.
4. Every other variant is told why not: its status, a gate, a significant loss, or that it is slower.
5. Where the test set is too small to tell a drop of the size that the gate allows, the verdict says so, and how many
   images would tell.
6. Where the shipped variant was run on other CPUs too, the verdict says what became of it there. Where it gets
   significantly fewer images right on one (McNemar, p < 0.05), the verdict offers what doesn't: of the variants that
   were run there and lose nothing, one that is not significantly worse than the reference if there is one, the
   fastest of them.
7. A quantized variant that is slower than the float one of its framework, beyond the noise, is told so.
8. Without labels only fidelity to the reference is known. The verdict says so, and rests on the gates alone: a
   quantized variant without a gate on its fidelity is not shipped, and a float one only if its SQNR is at least 40 dB.
"""

from collections.abc import Mapping, Sequence

from driver.analysis import metric_specs
from driver.analysis.results import Gate, Noise, Variant, Verdict
from driver.decision import caveats, fidelity_rule
from driver.decision.judgements import difference, goodness, milliseconds, smaller, speed, standing, worse
from driver.decision.row_warnings import TWIN
from driver.experiment.model import Gates

TASK = "classification"


def judge(
    rows: Sequence[Variant],
    reference: str,
    gates: Sequence[Gate],
    noise: Sequence[Noise],
    limits: Gates,
    task: str = TASK,
    unit: str = "images",
) -> Verdict:
    """The verdict on `rows`; `limits` are the experiment's gates, `unit` is what a person calls the samples."""
    broken = {gate.variant: gate_reason(gate) for gate in reversed(gates) if not gate.holds}
    broken = (fidelity_rule.unheld(rows, reference, gates) if task == "fidelity" else {}) | broken
    base = next((row for row in rows if row.name == reference and row.headline is not None), None)
    candidates = [row for row in rows if row.status == "ok" and row.name not in broken and not worse(row)]
    timed = [row for row in candidates if row.latency_ms is not None]
    floor = max((item.share for item in noise), default=0.0)
    if base is None or not candidates:
        reason = "the reference has no answers" if base is None else "no variant is sound and not significantly worse"
        told = [why_not(row, None, broken, floor) + too_slow(row) for row in rows]
        return Verdict("", (f"Ship nothing: {reason}.", *told))
    chosen = pick(timed or candidates, floor)
    others = [why_not(row, chosen, broken, floor) + too_slow(row) for row in rows if row.name != chosen.name]
    cautioned = (
        *([fidelity_rule.known(reference)] if task == "fidelity" else []),
        *caveats.power(chosen, base, limits, unit),
        *caveats.elsewhere(chosen, [row for row in rows if row.name not in broken], floor, unit),
    )
    return Verdict(chosen.name, (praise(chosen, base, floor) + too_slow(chosen), *cautioned, *others))


def pick(candidates: Sequence[Variant], floor: float) -> Variant:
    """The fastest; of those within the noise the smallest, then the most accurate."""
    fastest = min(milliseconds(row) for row in candidates)
    equal = [row for row in candidates if milliseconds(row) <= fastest * (1 + floor)]
    return min(equal, key=lambda row: (row.size_bytes or 0, -goodness(row)))


def praise(chosen: Variant, base: Variant, floor: float) -> str:
    """The first sentence."""
    if chosen.name == base.name:
        kept = metric_specs.of(base.headline)
        return f"Keep {base.name}: nothing that keeps its {kept.name} is faster."
    parts = [part for part in (speed(chosen, base, floor), smaller(chosen, base)) if part]
    gain = f", {' and '.join(parts)} than {base.name} on this CPU" if parts else ""
    if chosen.headline is not None and chosen.headline.name in fidelity_rule.FIGURES:
        return f"Ship {chosen.name}: near enough to the reference ({fidelity_rule.told(chosen)}){gain}."
    return f"Ship {chosen.name}: {standing(chosen)}{difference(chosen)}{gain}."


def too_slow(row: Variant) -> str:
    """Rule 7."""
    slow = [remark for remark in row.remarks if remark.endswith(TWIN)]
    return f" {row.name} is {slow[0]}." if slow else ""


def gate_reason(gate: Gate) -> str:
    side = "at least" if gate.bound == "min" else "at most"
    return f"{gate.figure} is {gate.value:.4g}, {side} {gate.limit:g} is asked for"


def why_not(row: Variant, chosen: Variant | None, broken: Mapping[str, str], floor: float) -> str:
    """Rule 4; `broken` has the reason of those that aren't sound."""
    if row.status != "ok":
        return f"Not {row.name}: {row.status}."
    if row.name in broken:
        return f"Not {row.name}: {broken[row.name]}."
    if worse(row):
        return f"Not {row.name}: significantly worse{difference(row)}."
    if chosen is None:
        return f"Not {row.name}: there is nothing to hold it against."
    if row.latency_ms is None:
        return f"Not {row.name}: it was not timed."
    parts = [part for part in (speed(row, chosen, floor), smaller(row, chosen)) if part]
    return f"Not {row.name}: {' and '.join(parts)} than {chosen.name}."
