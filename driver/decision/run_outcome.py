"""How a run ended, as data, and the exit code of each outcome: the only place that decides about it."""

from typing import Literal

from driver.analysis.results import Comparison
from shared.errors import StageError

RunOutcome = Literal["gates_hold", "gate_fails", "stage_failed"]
EXIT_CODES: dict[RunOutcome, int] = {"gates_hold": 0, "gate_fails": 1, "stage_failed": StageError.exit_code}


def decide_run_outcome(comparison: Comparison) -> RunOutcome:
    """A row or another stage that failed weighs more than a gate: what has no result is held to no gate."""
    if comparison.failures or any(row.status in ("failed", "skipped") for row in comparison.variants):
        return "stage_failed"
    return "gates_hold" if all(gate.holds for gate in comparison.gates) else "gate_fails"


def find_exit_code(comparison: Comparison) -> int:
    """The exit code of `run` and `report`: 0, 1 or 3."""
    return EXIT_CODES[decide_run_outcome(comparison)]
