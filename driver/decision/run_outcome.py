"""How a run ended, as data, and the exit code of each outcome: the only place that decides about it."""

from typing import Literal

from driver.analysis.results import Comparison
from shared.errors import StageError

RunOutcome = Literal["gates_hold", "gate_fails", "worse_than_baseline", "not_decided", "stage_failed"]
EXIT_CODES: dict[RunOutcome, int] = {
    "gates_hold": 0,
    "gate_fails": 1,
    "worse_than_baseline": 1,
    "not_decided": 1,
    "stage_failed": StageError.exit_code,
}


def decide_run_outcome(comparison: Comparison) -> RunOutcome:
    """A row or another stage that failed weighs more than a gate: what has no result is held to no gate. A gate that
    couldn't be checked is not held.
    """
    if comparison.failures or any(row.status in ("failed", "skipped") for row in comparison.variants):
        return "stage_failed"
    if comparison.unchecked or not all(gate.holds for gate in comparison.gates):
        return "gate_fails"
    if comparison.baseline is not None and not comparison.baseline.holds:
        return "worse_than_baseline"
    return "gates_hold" if makes_required_decision(comparison) else "not_decided"


def makes_required_decision(comparison: Comparison) -> bool:
    """Is a variant beside the reference shown good enough, where the experiment requires that?"""
    decision = comparison.decision
    return comparison.require != "decision" or (decision is not None and bool(decision.shown))


def find_exit_code(comparison: Comparison) -> int:
    """The exit code of `run` and `report`: 0, 1 or 3."""
    return EXIT_CODES[decide_run_outcome(comparison)]
