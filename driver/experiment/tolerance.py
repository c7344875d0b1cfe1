"""The tolerance of an experiment: by how much a variant may be worse than the reference and still be good enough."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from driver.experiment.task_specs import TASKS
from shared.errors import CrossquantError, FieldError

Unit = Literal["percent", "points", "dB", "plain"]
UNITS: dict[str, Unit] = {
    "%": "percent",
    "percent": "percent",
    "pp": "points",
    "points": "points",
    "db": "dB",
    "": "plain",
}
PATTERN = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(%|percent|pp|points|dB|db)?\s*")
EXAMPLES = "1% (of the reference's metric), 0.5pp (points of a share), 30dB (without labels), or a number in its unit"


@dataclass(frozen=True)
class Tolerance:
    """`amount` percent of the reference's metric, points of a share, decibels that a variant without labels must have,
    or an amount in the metric's own unit.
    """

    amount: float
    unit: Unit = "plain"

    def __str__(self) -> str:
        symbol = {"percent": " %", "points": " points", "dB": " dB", "plain": ""}[self.unit]
        return f"{self.amount:g}{symbol}"

    @property
    def relative(self) -> bool:
        return self.unit == "percent"

    @property
    def in_metric_unit(self) -> float:
        """The amount in the metric's own unit, in which shares are 0-1; of percent, the share of the reference."""
        return self.amount / 100 if self.unit in ("percent", "points") else self.amount


# The target of MLPerf Inference: at least 99 % of the reference's metric.
DEFAULT = Tolerance(1.0, "percent")


def read_tolerance(value: Any) -> Any:
    """The value of `tolerance` in an experiment's file, as the fields of a Tolerance. FieldError where it is none."""
    if isinstance(value, dict):
        return value
    match = PATTERN.fullmatch(str(value)) if isinstance(value, str | int | float) and value is not True else None
    if match is None:
        raise FieldError(("tolerance",), f"must be like {EXAMPLES}, not {value!r}")
    amount, unit = float(match[1]), UNITS[(match[2] or "").lower()]
    if not math.isfinite(amount) or (amount <= 0 and unit != "dB"):
        raise FieldError(("tolerance",), f"must be a number above 0, not {match[1]}")
    if unit == "percent" and amount >= 100:
        raise FieldError(("tolerance",), f"must be below 100 %, not {amount:g} %")
    return {"amount": amount, "unit": unit}


def find_tolerance(declared: Tolerance | None, task: str, is_share: bool) -> Tolerance | None:
    """The tolerance of a task; None where labels are missing and none is declared.

    `is_share`: is the headline metric a share? CrossquantError for a unit that the metric hasn't.
    """
    has_differences = TASKS[task].has_differences
    if declared is None:
        return DEFAULT if has_differences else None
    if has_differences and declared.unit == "dB":
        raise CrossquantError(f"tolerance: {declared}: decibels are for data without labels; the task is {task}")
    if not has_differences and declared.unit not in ("dB", "plain"):
        raise CrossquantError(
            f"tolerance: {declared}: without labels it is the least SQNR that a variant must have, such as 30dB"
        )
    if declared.unit == "points" and not is_share:
        raise CrossquantError(f"tolerance: {declared}: points are of a share; of the task {task} give percent")
    return declared
