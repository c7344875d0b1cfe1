"""Limits of the experiment, held against the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driver.comparison import Variant
    from driver.experiment import Bound, Gates


@dataclass(frozen=True)
class Gate:
    """`figure` of `variant` is `value`, and must be at least or at most `limit` (`bound`: min or max)."""

    variant: str
    figure: str
    bound: str
    limit: float
    value: float
    holds: bool


def evaluate(limits: Gates, rows: Iterable[Variant]) -> Iterator[Gate]:
    """A gate for each bound on each row that has the figure; a row without figures has a status that tells."""
    for row in rows:
        bounds = limits.quantized if row.quantized else limits.float
        for figure, bound in bounds.items():
            value = measured(row, figure)
            if value is not None:
                yield from check(row.name, figure, bound, value)


def measured(row: Variant, figure: str) -> float | None:
    if figure == "accuracy":
        return row.accuracy
    if figure == "drop_pp":
        return None if row.delta_pp is None else 0.0 - row.delta_pp
    return None if row.agreement is None else round(1 - row.agreement, 9)


def check(variant: str, figure: str, bound: Bound, value: float) -> Iterator[Gate]:
    if bound.min is not None:
        yield Gate(variant, figure, "min", bound.min, value, value >= bound.min)
    if bound.max is not None:
        yield Gate(variant, figure, "max", bound.max, value, value <= bound.max)
