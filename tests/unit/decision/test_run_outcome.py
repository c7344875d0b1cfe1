"""How a run ended: gates, failures, and which weighs more."""

from dataclasses import replace

import comparisons
import pytest

from driver.analysis.results import Gate
from driver.decision import run_outcome
from shared.contract import Failure

FAILS = Gate("onnx.int8", "accuracy", "min", 0.85, 0.1, False)
HOLDS = replace(FAILS, value=0.9, holds=True)
FAILURE = Failure("latency.onnx", "failed", "killed")


def comparison(gates, failures=(), status="unsupported"):
    base = comparisons.comparison(gates=gates, failures=failures)
    return replace(base, variants=(*base.variants[:-1], replace(base.variants[-1], status=status)))


@pytest.mark.parametrize(
    ("compared", "outcome", "code"),
    [
        (comparison((HOLDS,)), "gates_hold", 0),
        (comparison(()), "gates_hold", 0),
        (comparison((HOLDS, FAILS)), "gate_fails", 1),
        (comparison((FAILS,), (FAILURE,)), "stage_failed", 3),
        (comparison((HOLDS,), status="failed"), "stage_failed", 3),
        (comparison((HOLDS,), status="skipped"), "stage_failed", 3),
    ],
)
def test_the_outcome_of_a_run_has_its_exit_code(compared, outcome, code):
    assert run_outcome.decide_run_outcome(compared) == outcome
    assert run_outcome.find_exit_code(compared) == code


def test_a_gate_that_a_row_is_not_held_to_does_not_count():
    assert run_outcome.find_exit_code(replace(comparison((HOLDS,)), not_held=(FAILS,))) == 0
