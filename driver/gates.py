"""Limits of the experiment, held against the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from driver.results import Gate

if TYPE_CHECKING:
    from driver.experiment import Bound, Gates
    from driver.results import Variant


def evaluate(limits: Gates, rows: Iterable[Variant]) -> Iterator[Gate]:
    """A gate for each bound on each row that has the figure; a row without figures has a status that tells."""
    for row in rows:
        bounds = limits.quantized if row.quantized else limits.float
        for figure, bound in bounds.items():
            value = measured(row, figure)
            if value is not None:
                yield from check(row, figure, bound, value)


def measured(row: Variant, figure: str) -> float | None:
    if figure == "accuracy":
        return row.accuracy
    if figure == "drop_pp":
        return None if row.delta_pp is None else 0.0 - row.delta_pp
    return None if row.agreement is None else round(1 - row.agreement, 9)


def check(row: Variant, figure: str, bound: Bound, point: float) -> Iterator[Gate]:
    """With a confidence, it is the worse end of the interval that must hold, not the point."""
    low = high = point
    if bound.confidence is not None:
        low, high = interval(row, figure, bound.confidence)
    if bound.min is not None:
        yield Gate(row.name, figure, "min", bound.min, low, low >= bound.min, bound.confidence)
    if bound.max is not None:
        yield Gate(row.name, figure, "max", bound.max, high, high <= bound.max, bound.confidence)


def interval(row: Variant, figure: str, confidence: float) -> tuple[float, float]:
    """Of the figure, at `confidence`."""
    from driver import statistics  # noqa: PLC0415 - SciPy takes half a second to import

    if figure == "accuracy":
        right, total = (sum(getattr(count, name) for count in row.classes) for name in ("right", "total"))
        found = statistics.wilson(right, total, confidence)
        return found.low, found.high
    pairs, drift = row.paired, row.drift
    assert pairs is not None  # or there would be no point
    assert drift is not None
    if figure == "changed":
        found = statistics.wilson(drift.changed, drift.images, confidence)
        return found.low, found.high
    counts = (pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong)
    found = statistics.newcombe(*counts, confidence)
    return 0.0 - found.high, 0.0 - found.low
