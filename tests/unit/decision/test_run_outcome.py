"""How a run ended: gates, failures, and which weighs more."""

from dataclasses import replace

import comparisons
import pytest

from driver.analysis.facts import Decision, NothingBetter, NothingShown, ReferenceUnsound
from driver.analysis.results import Baseline, Gate, UncheckedGate
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


def test_a_gate_that_was_not_checked_does_not_hold():
    unchecked = replace(comparison((HOLDS,)), unchecked=(UncheckedGate("onnx.int8", "p50_ms"),))
    assert run_outcome.decide_run_outcome(unchecked) == "gate_fails"


@pytest.mark.parametrize(
    ("baseline", "code"),
    [
        (Baseline("before", ("accuracy",), (HOLDS,)), 0),
        (Baseline("before", ("accuracy",), (HOLDS, FAILS)), 1),
        (Baseline("before", ("accuracy",), (HOLDS,), (UncheckedGate("onnx.int8", "p50_ms"),)), 1),
        (Baseline("before", ("accuracy",), (HOLDS,), lost=("onnx.int8",)), 1),
    ],
)
def test_what_is_worse_than_the_baseline_counts_as_a_gate(baseline, code):
    assert run_outcome.find_exit_code(replace(comparison((HOLDS,)), baseline=baseline)) == code


NOTHING = Decision("ship_nothing", "", (ReferenceUnsound(),))
KEPT = Decision("keep_reference", "keras.fp32", (NothingShown("onnx.fp32", 600),))


@pytest.mark.parametrize("decision", [NOTHING, KEPT, None])
def test_a_decision_that_is_required_and_can_not_be_made(decision):
    undecided = replace(comparison((HOLDS,)), decision=decision)
    assert run_outcome.decide_run_outcome(undecided) == "gates_hold", "where nobody requires one"
    undecided = replace(undecided, require="decision")
    assert run_outcome.decide_run_outcome(undecided) == "not_decided"
    assert run_outcome.find_exit_code(undecided) == 1


def test_a_reference_that_is_kept_though_others_are_shown_good_enough_is_a_decision():
    kept = Decision("keep_reference", "keras.fp32", (NothingBetter("latency"),), shown=("onnx.fp32",))
    decided = replace(comparison((HOLDS,)), decision=kept, require="decision")
    assert run_outcome.decide_run_outcome(decided) == "gates_hold"


def test_a_decision_that_is_required_and_made():
    assert run_outcome.decide_run_outcome(replace(comparison((HOLDS,)), require="decision")) == "gates_hold"
