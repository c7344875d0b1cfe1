"""The verdict where there are no labels: rule 8 of driver/decision/verdict.py."""

from collections.abc import Sequence

from driver.analysis import metric_specs
from driver.analysis.results import Gate, Variant

FLOAT_DB = 40.0  # of a float variant: conversion keeps more than 100, and what keeps less than this has another model
FIGURES = ("sqnr", "cosine", "agreement")


def unheld(rows: Sequence[Variant], reference: str, gates: Sequence[Gate]) -> dict[str, str]:
    """By name, why nothing says that a variant is near enough to the reference."""
    held = {gate.variant for gate in gates if gate.figure in FIGURES}
    return {row.name: why for row in rows if row.name not in (reference, *held) and (why := doubt(row))}


def doubt(row: Variant) -> str:
    """Of a row without a gate on its fidelity."""
    found = figure(row, "sqnr")
    if found is None:
        return ""
    if row.quantized:
        return f"no gate says how near is near enough ({told(row)}): set gates.quantized.sqnr or .agreement"
    if found < FLOAT_DB:
        return f"in float it should be nearer to the reference ({told(row)})"
    return ""


def figure(row: Variant, name: str) -> float | None:
    return next((each.value for each in row.metrics if each.name == name), None)


def told(row: Variant) -> str:
    """`SQNR 31.2 dB, cosine 0.99900, agree 98.20 %`."""
    return ", ".join(f"{metric_specs.of(each).label} {metric_specs.of(each).text(each.value)}" for each in row.metrics)


def known(reference: str) -> str:
    return f"There are no labels: only fidelity to {reference} is known, not whether its answers are right."
