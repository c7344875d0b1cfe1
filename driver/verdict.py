"""What to ship, and why: rules on the figures of a comparison, each written down and tested.

1. A variant is sound if its status is `ok` and all its gates hold.
2. It is significantly worse than the reference if it gets fewer images right and McNemar's exact test, after Holm's
   correction over the rows, gives p < 0.05.
3. Of the sound variants that are not significantly worse, the fastest at batch 1 on one thread is shipped. Those within
   the noise of the timings count as equally fast: of them the smallest file wins, then the higher accuracy.
4. Every other variant is told why not: its status, a gate, a significant loss, or that it is slower.
5. Where the test set is too small to tell a drop of the size that the gate allows, the verdict says so, and how many
   images would tell.
"""

from collections.abc import Sequence

from driver import statistics
from driver.experiment import Gates
from driver.results import SIGNIFICANT, Gate, Noise, Paired, Variant, Verdict

POWER = 0.8
LEAST_FACTOR = 0.05  # a smaller one is written 1.0×


def judge(
    rows: Sequence[Variant], reference: str, gates: Sequence[Gate], noise: Sequence[Noise], limits: Gates
) -> Verdict:
    """The verdict on `rows`; `limits` are the experiment's gates."""
    broken = {gate.variant: gate for gate in reversed(gates) if not gate.holds}
    base = next((row for row in rows if row.name == reference and row.accuracy is not None), None)
    candidates = [row for row in rows if row.status == "ok" and row.name not in broken and not worse(row)]
    timed = [row for row in candidates if row.latency_ms is not None]
    floor = max((item.share for item in noise), default=0.0)
    if base is None or not candidates:
        reason = "the reference has no answers" if base is None else "no variant is sound and not significantly worse"
        return Verdict("", (f"Ship nothing: {reason}.", *(why_not(row, None, broken, floor) for row in rows)))
    chosen = pick(timed or candidates, floor)
    others = [why_not(row, chosen, broken, floor) for row in rows if row.name != chosen.name]
    return Verdict(chosen.name, (praise(chosen, base, floor), *power(chosen, base, limits), *others))


def worse(row: Variant) -> bool:
    return row.paired is not None and row.paired.delta_pp < 0 and p_value(row.paired) < SIGNIFICANT


def p_value(pairs: Paired) -> float:
    """Corrected, where the row is one of many: a float variant is no try of a recipe, and stands alone."""
    return pairs.p_value if pairs.p_holm is None else pairs.p_holm


def pick(candidates: Sequence[Variant], floor: float) -> Variant:
    """The fastest; of those within the noise the smallest, then the most accurate."""
    fastest = min(milliseconds(row) for row in candidates)
    equal = [row for row in candidates if milliseconds(row) <= fastest * (1 + floor)]
    return min(equal, key=lambda row: (row.size_bytes or 0, -(row.accuracy or 0)))


def milliseconds(row: Variant) -> float:
    return row.latency_ms.p50 if row.latency_ms else 0.0


def praise(chosen: Variant, base: Variant, floor: float) -> str:
    """The first sentence."""
    if chosen.name == base.name:
        return f"Keep {base.name}: nothing that keeps its accuracy is faster."
    parts = [part for part in (speed(chosen, base, floor), smaller(chosen, base)) if part]
    gain = f", {' and '.join(parts)} than {base.name} on this CPU" if parts else ""
    return f"Ship {chosen.name}: not significantly worse{difference(chosen)}{gain}."


def difference(row: Variant) -> str:
    """` (−0.06 points, 95% −0.31…+0.19, p = 0.69)`; nothing where no image is answered otherwise."""
    pairs = row.paired
    if pairs is None:
        return ""
    low, high = pairs.interval_pp.low, pairs.interval_pp.high
    p = p_value(pairs)
    shown = f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
    return f" ({points(pairs.delta_pp)} points, 95% {points(low)}…{points(high)}, {shown})"


def points(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def speed(row: Variant, base: Variant, floor: float) -> str:
    if row.latency_ms is None or base.latency_ms is None:
        return ""
    factor = base.latency_ms.p50 / row.latency_ms.p50
    if max(factor, 1 / factor) <= 1 + max(floor, LEAST_FACTOR):
        return "no faster (within the noise)"
    return f"{factor:.1f}× faster" if factor > 1 else f"{1 / factor:.1f}× slower"


def smaller(row: Variant, base: Variant) -> str:
    if not row.size_bytes or not base.size_bytes:
        return ""
    factor = base.size_bytes / row.size_bytes
    if f"{max(factor, 1 / factor):.1f}" == "1.0":
        return ""
    return f"{factor:.1f}× smaller" if factor > 1 else f"{1 / factor:.1f}× larger"


def power(chosen: Variant, base: Variant, limits: Gates) -> list[str]:
    """Rule 5, for the drop that the gate on the chosen variant allows."""
    bound = (limits.quantized if chosen.quantized else limits.float).get("drop_pp")
    pairs = chosen.paired
    if bound is None or bound.max is None or not 0 < bound.max <= 100 or pairs is None or chosen.name == base.name:
        return []
    images = pairs.both_right + pairs.only_reference + pairs.only_variant + pairs.both_wrong
    share = (pairs.only_reference + pairs.only_variant) / images
    needed = statistics.images_needed(share, bound.max, POWER, SIGNIFICANT)
    if needed <= images:
        return []
    return [
        f"These {images:,} test images are too few to tell a drop of {bound.max:g} points, which the gate allows: "
        f"about {needed:,} would tell, with a power of {POWER:.0%}."
    ]


def why_not(row: Variant, chosen: Variant | None, broken: dict[str, Gate], floor: float) -> str:
    """Rule 4."""
    if row.status != "ok":
        return f"Not {row.name}: {row.status}."
    if row.name in broken:
        gate = broken[row.name]
        side = "at least" if gate.bound == "min" else "at most"
        return f"Not {row.name}: {gate.figure} is {gate.value:.4g}, {side} {gate.limit:g} is asked for."
    if worse(row):
        return f"Not {row.name}: significantly worse{difference(row)}."
    if chosen is None:
        return f"Not {row.name}: there is nothing to hold it against."
    if row.latency_ms is None:
        return f"Not {row.name}: it was not timed."
    parts = [part for part in (speed(row, chosen, floor), smaller(row, chosen)) if part]
    return f"Not {row.name}: {' and '.join(parts)} than {chosen.name}."
