"""Gates as text: their names, values and limits."""

from driver.analysis.metric_specs import METRIC_SPECS
from driver.analysis.numbers import number
from driver.analysis.results import Gate

NAMES = {
    "accuracy": "top-1",
    "drop_pp": "drop below the reference",
    "changed": "changed answers",
    "worse_percent": "worse than the reference",
}


SHARES = ("accuracy", "changed")  # gates on these are shares, 0-1; the others are in points


def gate_value(gate: Gate) -> str:
    if gate.metric in METRIC_SPECS:
        return METRIC_SPECS[gate.metric].text(gate.value)
    return f"{number(gate.value, scale=scale(gate))} {unit(gate)}"


def unit(gate: Gate) -> str:
    return "pp" if gate.metric == "drop_pp" else "%"


def scale(gate: Gate) -> float:
    return 100 if gate.metric in SHARES else 1


def gate_limit(gate: Gate) -> str:
    """`≥ 85 %`, and how sure it must be."""
    sure = f" with {gate.confidence:.0%} confidence" if gate.confidence is not None else ""
    if gate.metric in METRIC_SPECS:
        spec = METRIC_SPECS[gate.metric]
        limit = f"{spec.scale * gate.limit:g} {spec.unit}".strip()
    else:
        limit = f"{scale(gate) * gate.limit:g} {unit(gate)}"
    return f"{'≥' if gate.bound == 'min' else '≤'} {limit}{sure}"


def gate_name(metric: str) -> str:
    return NAMES.get(metric) or (METRIC_SPECS[metric].label if metric in METRIC_SPECS else metric)
