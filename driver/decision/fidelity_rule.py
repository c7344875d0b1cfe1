"""The decision where there are no labels: rule 8 of driver/decision/decide.py."""

from collections.abc import Sequence

from driver.analysis.facts import FloatTooFar, MetricValue, NoFidelityGate
from driver.analysis.results import Gate, Variant

FLOAT_DB = 40.0  # of a float variant: conversion keeps more than 100, and what keeps less than this has another model
METRICS = ("sqnr", "cosine", "agreement")


def find_missing_evidence(
    rows: Sequence[Variant], reference: str, gates: Sequence[Gate]
) -> dict[str, NoFidelityGate | FloatTooFar]:
    """By name, why nothing says that a variant is near enough to the reference."""
    held = {gate.variant for gate in gates if gate.metric in METRICS}
    others = [row for row in rows if row.name not in (reference, *held)]
    return {row.name: reason for row in others if (reason := find_doubt(row)) is not None}


def find_doubt(row: Variant) -> NoFidelityGate | FloatTooFar | None:
    """Of a row without a gate on its fidelity."""
    sqnr = next((metric.value for metric in row.metrics if metric.name == "sqnr"), None)
    if sqnr is None:
        return None
    if row.quantized:
        return NoFidelityGate(list_fidelity(row))
    return FloatTooFar(list_fidelity(row)) if sqnr < FLOAT_DB else None


def list_fidelity(row: Variant) -> tuple[MetricValue, ...]:
    """How near the row is to the reference, by every metric that it has."""
    return tuple(MetricValue(metric.name, metric.value) for metric in row.metrics)
