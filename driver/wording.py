"""How figures are put in words, and the two judgements that words rest on: worse, and faster."""

import math

from driver.results import SIGNIFICANT, Paired, Variant

LEAST_FACTOR = 0.05  # a smaller difference of times is none, whatever the noise


def worse(row: Variant) -> bool:
    return row.paired is not None and row.paired.delta_pp < 0 and p_value(row.paired) < SIGNIFICANT


def p_value(pairs: Paired) -> float:
    """Corrected, where the row is one of many: a float variant is no try of a recipe, and stands alone."""
    return pairs.p_value if pairs.p_holm is None else pairs.p_holm


def milliseconds(row: Variant) -> float:
    """Endless where there are no timings: what was not timed is the fastest of nothing."""
    return row.latency_ms.p50 if row.latency_ms else math.inf


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
