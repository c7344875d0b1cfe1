"""Rows whose outputs are much further from float than those of other files of the experiment that round as much.

Recipes differ by some decibels. Where one differs by far more, the file is likely wrong and not only rounded: a tool
has mixed up two tensors, or a range is of something else. A task's own metric may not show it: it looks at one output,
and at a classification's answers alone.

Every framework's files are compared, since a fault of a tool is in all that it makes. A file that rounds less (weights
alone, 16 bits, layers left in float) must be as good as the best that rounds everything to 8 bits; it is no measure for
those, as it is better by nature.
"""

import math
from collections.abc import Mapping, Sequence

from driver.analysis.facts import FarFromFloat
from driver.analysis.results import Variant
from shared.contract import Step

FAR = 15.0  # dB: more than five times the error. docs/quantization.md has what recipes of one model differ by
NEAR_ENOUGH = 40.0  # dB: an error of a hundredth; what is as near to float as that is nobody's concern


def rounds_all(step: Step) -> bool:
    """Are activations, by calibration, and weights of all layers in 8 bits?"""
    calibrated = any(name.partition(".")[0].startswith("calibration") for name in step.inputs)
    wide = "16" in str(step.parameters.get("activation", ""))
    return calibrated and not wide and not step.parameters.get("exclude") and step.run != "accuracy_aware"


def find_far_rows(rows: Sequence[Variant], rounding: Mapping[str, bool]) -> dict[str, list[FarFromFloat]]:
    """By row, each output that is FAR worse than the best of the others; `rounding` has `rounds_all`."""
    quantized = [row for row in rows if row.quantized and row.status in ("ok", "failed")]
    outputs = {row.name: decibels(row) for row in quantized}
    far: dict[str, list[FarFromFloat]] = {}
    for name, own in outputs.items():
        others = {other: outputs[other] for other in outputs if other != name and rounding.get(other)}
        for number, value in own.items():
            sqnr_of_others = {other: values[number] for other, values in others.items() if number in values}
            best = max(sqnr_of_others, key=sqnr_of_others.__getitem__, default=None)
            if best is not None and value < min(NEAR_ENOUGH, sqnr_of_others[best] - FAR):
                output = number if len(own) > 1 else None
                best_sqnr_db = None if math.isinf(sqnr_of_others[best]) else sqnr_of_others[best]
                far.setdefault(name, []).append(FarFromFloat(output, value, best, best_sqnr_db))
    return far


def decibels(row: Variant) -> dict[int, float]:
    """The SQNR of each output, by its number; endless where nothing differs. Nothing for a row without answers."""
    if row.outputs:
        return {item.number: endless(item.sqnr_db) for item in row.outputs}
    return {} if row.drift is None else {0: endless(row.drift.sqnr_db)}


def endless(value: float | None) -> float:
    return math.inf if value is None else value
