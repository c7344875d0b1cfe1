"""Gates as text: their names, values and limits, with their units."""

from driver.analysis.metric_specs import METRIC_SPECS
from driver.analysis.numbers import number
from driver.analysis.results import Gate
from driver.experiment.gate_limits import name_metric

NAMES = {
    "accuracy": "top-1",
    "drop_pp": "drop below the reference",
    "changed": "changed answers",
    "worse_percent": "worse than the reference",
    "class_accuracy": "lowest top-1 of a class",
    "class_drop_pp": "largest drop of a class",
    "class_iou": "lowest IoU of a class",
    "class_f1": "lowest F1 of a tag",
    "step_mae": "largest MAE of a step",
    "p50_ms": "p50",
    "p99_ms": "p99",
    "cold_start_seconds": "cold start",
    "size_kb": "size",
    "peak_memory_mb": "peak memory",
    "throughput": "throughput",
}
UNITS = {
    "drop_pp": "pp",
    "class_drop_pp": "pp",
    "changed": "%",
    "worse_percent": "%",
    "class_accuracy": "%",
    "class_iou": "%",
    "class_f1": "%",
    "p50_ms": "ms",
    "p99_ms": "ms",
    "cold_start_seconds": "s",
    "size_kb": "KB",
    "peak_memory_mb": "MB",
    "throughput": "samples/s",
}
SHARES = ("changed", "class_accuracy", "class_iou", "class_f1")  # 0-1, beside the metrics that are
FORMS = {"p50_ms": "{:.3f}", "p99_ms": "{:.3f}", "size_kb": "{:,.0f}", "peak_memory_mb": "{:,.0f}"}
FORMS |= {"throughput": "{:,.0f}"}
LARGE = 1e6  # from which on a number has no decimals


def gate_value(gate: Gate) -> str:
    """In a table, rounded."""
    metric = name_metric(gate.metric)
    if metric in METRIC_SPECS:
        return METRIC_SPECS[metric].text(gate.value)
    return f"{number(gate.value, FORMS.get(metric, '{:.2f}'), scale(metric))} {unit(metric)}".strip()


def unit(metric: str) -> str:
    """Of its values as they are written: shares are in percent."""
    metric = name_metric(metric)
    return METRIC_SPECS[metric].unit if metric in METRIC_SPECS else UNITS.get(metric, "")


def scale(metric: str) -> float:
    metric = name_metric(metric)
    if metric in METRIC_SPECS:
        return METRIC_SPECS[metric].scale
    return 100 if metric in SHARES else 1


def gate_limit(gate: Gate) -> str:
    """`≥ 85 %`, and how sure it must be."""
    sure = f" with {gate.confidence:.0%} confidence" if gate.confidence is not None else ""
    return f"{'≥' if gate.bound == 'min' else '≤'} {quantity(gate.metric, gate.limit)}{sure}"


def quantity(metric: str, value: float) -> str:
    """A value or a limit with its unit, with so many digits that two that differ don't look the same."""
    return f"{plain_number(metric, value)} {unit(metric)}".strip()


def plain_number(metric: str, value: float) -> str:
    scaled = scale(metric) * value
    return f"{scaled:.0f}" if abs(scaled) >= LARGE else f"{scaled:.6g}"


def gate_name(metric: str) -> str:
    """Of another output of the model, `boxes.mae`, with the output's name."""
    output, _, metric = metric.rpartition(".")
    name = NAMES.get(metric) or (METRIC_SPECS[metric].label if metric in METRIC_SPECS else metric)
    return f"{output} {name}".strip()
