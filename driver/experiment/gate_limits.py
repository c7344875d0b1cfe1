"""The limits of gates: a percentage may be written as one, and a limit that no value can reach is an error."""

import math
import re
from typing import Any

from driver.experiment.model import Bound
from driver.experiment.task_specs import CLASS_GATES, COST_GATES, PART_GATES
from shared.errors import FieldError

SHARE, ERROR, SIMILARITY, POINTS = (0.0, 1.0), (0.0, math.inf), (-1.0, 1.0), (-100.0, 100.0)
RANGES = {  # the values that each metric can have
    **dict.fromkeys(("accuracy", "changed", "agreement", "top5", "map", "f1", "f1_macro", "auc"), SHARE),
    **dict.fromkeys(("miou", "pixel_accuracy", "token_accuracy", "token_f1", "coco_map", "map50"), SHARE),
    **dict.fromkeys(("weighted_accuracy", "recall1", "recall5", "recall10"), SHARE),
    **dict.fromkeys(("class_accuracy", "class_iou", "class_f1"), SHARE),
    **dict.fromkeys(("mae", "rmse", "mse", "step_mae", *COST_GATES), ERROR),
    "r2": (-math.inf, 1.0),
    **dict.fromkeys(("cosine", "spearman", "pearson"), SIMILARITY),
    **dict.fromkeys(("drop_pp", "class_drop_pp"), POINTS),
    "worse_percent": (-100.0, math.inf),
    "sqnr": (-math.inf, math.inf),
}
WITHOUT_INTERVAL = (*COST_GATES, *CLASS_GATES, *PART_GATES)
PERCENT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*%\s*")


def read_percentages(gates: Any) -> Any:
    """The section `gates` of a file with numbers for texts such as "85 %": 0.85 of a share, 2 for "2 %" of points."""
    if not isinstance(gates, dict):
        return gates
    return {kind: read_kind(bounds) for kind, bounds in gates.items()}


def read_kind(bounds: Any) -> Any:
    if not isinstance(bounds, dict):
        return bounds
    return {metric: read_bound(str(metric), bound) for metric, bound in bounds.items()}


def read_bound(metric: str, bound: Any) -> Any:
    if not isinstance(bound, dict):
        return bound
    return {key: read_number(metric, value) if key in ("min", "max") else value for key, value in bound.items()}


def read_number(metric: str, value: Any) -> Any:
    """The number that a text such as "85 %" is a limit of, for this metric; any other value as it is."""
    match = PERCENT.fullmatch(value) if isinstance(value, str) else None
    metric = name_metric(metric)
    if match is None or metric in COST_GATES:  # a percentage of milliseconds is nothing
        return value
    return float(match[1]) / 100 if RANGES.get(metric) in (SHARE, SIMILARITY) else float(match[1])


def name_metric(gate: str) -> str:
    """The metric of a gate: `boxes.mae` is on that of the output `boxes`."""
    return gate.rpartition(".")[2]


def check_confidence(path: tuple[str, ...], metric: str, bound: Bound) -> None:
    """FieldError for a confidence that is none, or of what is measured without an interval."""
    if bound.confidence is None:
        return
    if metric in WITHOUT_INTERVAL or name_metric(metric) != metric:
        raise FieldError((*path, "confidence"), f"{metric} has no interval: leave the confidence out")
    if not 0 < bound.confidence < 1:
        raise FieldError((*path, "confidence"), "must be between 0 and 1, such as 0.95")


def check_range(path: tuple[str, ...], metric: str, bound: Bound) -> None:
    """FieldError for a limit, at this path of the file, that the metric can't have, or that contradicts the other."""
    low, high = RANGES[name_metric(metric)]
    for name in ("min", "max"):
        limit = getattr(bound, name)
        if limit is None or (low <= limit <= high and math.isfinite(limit)):
            continue
        hint = f", such as {limit / 100:g}" if (low, high) == SHARE and 1 < limit <= 100 else ""
        span = "a finite number" if math.isinf(high) and math.isinf(low) else describe_range(low, high)
        raise FieldError((*path, name), f"must be {span}{hint}, not {limit:g}")
    if bound.min is not None and bound.max is not None and bound.min > bound.max:
        raise FieldError((*path, "min"), f"must not be above max, {bound.max:g}")


def describe_range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"from {low:g} to {high:g}"
