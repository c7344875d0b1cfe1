"""How figures are put in words, and the two judgements that words rest on: worse, and faster."""

import math
from dataclasses import replace

from driver.analysis import metric_specs
from driver.analysis.results import SIGNIFICANT, Metric, Variant

NO_VNNI = "AVX2, no VNNI"  # of a CPU: shared/measure/instructions.py
LEAST_FACTOR = 0.05  # a smaller difference of times is none, whatever the noise


def worse(row: Variant) -> bool:
    """By the task's paired test, and by more than matters."""
    return row.headline is not None and metric_specs.loses(row.headline, SIGNIFICANT)


def milliseconds(row: Variant) -> float:
    """Endless where there are no timings: what was not timed is the fastest of nothing."""
    return row.latency_ms.p50 if row.latency_ms else math.inf


def difference(row: Variant) -> str:
    """` (−0.06 points, 95% −0.31…+0.19, p = 0.69)`; nothing where there is no paired test."""
    found = row.headline
    if row.paired is not None:  # in points, as they were counted
        low, high = row.paired.interval_pp.low, row.paired.interval_pp.high
        changed, span = f"{points(row.paired.delta_pp)} points", f"{points(low)}…{points(high)}"
        return f" ({changed}, 95% {span}, {probability(row.paired.corrected_p_value)})"
    if found is None or found.delta is None or found.p_value is None:
        return ""
    span = metric_specs.of(found).span(found.delta_interval, signed=True)
    return f" ({change(found)}, 95% {span}, {probability(found.corrected_p_value)})"


def probability(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def change(found: Metric) -> str:
    """`MAE +0.012`, `−0.06 points of mAP`."""
    measure = metric_specs.of(found)
    signed = measure.signed(found.delta)
    if measure.unit == "%":
        return f"{signed} points of {measure.label}"
    return f"{measure.label} {signed} {measure.unit}".rstrip()


def between(row: Variant, other: Variant) -> str:
    """How far the headline is from the other row's: `−0.24 points`, `MAE +0.012`."""
    found, base = row.headline, other.headline
    if found is None or base is None:
        return ""
    delta = found.value - base.value
    return f"{points(100 * delta)} points" if found.name == "accuracy" else change(replace(found, delta=delta))


def standing(row: Variant) -> str:
    """How a row that is not `worse` is to the reference."""
    found = row.headline
    lost = found is not None and (found.loss or 0.0) > 0 and found.corrected_p_value < SIGNIFICANT
    return "worse by too little to matter" if lost else "not significantly worse"


def goodness(row: Variant, nothing: float = 0.0) -> float:
    """Of two rows the better one's is higher; `nothing` where there is no figure to judge by."""
    return nothing if row.headline is None else metric_specs.goodness(row.headline)


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
