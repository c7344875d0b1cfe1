"""Limits of gates: percentages are read, and what no value can reach is refused."""

import pytest

from driver.experiment import gate_limits
from driver.experiment.gate_limits import RANGES
from driver.experiment.model import Bound
from driver.experiment.task_specs import TASKS
from shared.errors import FieldError


def test_every_metric_that_gates_may_be_on_has_a_range():
    assert {name for spec in TASKS.values() for name in spec.all_gates} == set(RANGES)


@pytest.mark.parametrize(
    ("metric", "text", "number"),
    [
        ("accuracy", "85 %", 0.85),
        ("accuracy", "85%", 0.85),
        ("agreement", " 99.5 % ", 0.995),
        ("drop_pp", "2 %", 2.0),
        ("worse_percent", "5%", 5.0),
        ("accuracy", 0.85, 0.85),
        ("accuracy", "much", "much"),
        ("class_accuracy", "70 %", 0.7),
        ("class_drop_pp", "3 %", 3.0),
        ("p50_ms", "3 %", "3 %"),
    ],
)
def test_a_percentage_is_a_number(metric: str, text: object, number: object):
    gates = {"float": {metric: {"min": text, "confidence": 0.95}}}
    assert gate_limits.read_percentages(gates) == {"float": {metric: {"min": number, "confidence": 0.95}}}


@pytest.mark.parametrize("gates", [None, "high", {"float": 7}, {"float": {"accuracy": 0.8}}])
def test_what_is_no_section_of_gates_is_left_to_the_decoder(gates: object):
    assert gate_limits.read_percentages(gates) == gates


@pytest.mark.parametrize(
    ("metric", "bound", "name", "message"),
    [
        ("accuracy", Bound(min=85), "min", "must be from 0 to 1, such as 0.85, not 85"),
        ("changed", Bound(max=-0.1), "max", "must be from 0 to 1, not -0.1"),
        ("map", Bound(min=101), "min", "must be from 0 to 1, not 101"),
        ("mae", Bound(max=-1), "max", "must be at least 0, not -1"),
        ("r2", Bound(min=2), "min", "must be at most 1, not 2"),
        ("p50_ms", Bound(max=-1), "max", "must be at least 0, not -1"),
        ("throughput", Bound(min=float("inf")), "min", "must be at least 0, not inf"),
        ("class_accuracy", Bound(min=70), "min", "must be from 0 to 1, such as 0.7, not 70"),
        ("class_drop_pp", Bound(max=101), "max", "must be from -100 to 100, not 101"),
        ("drop_pp", Bound(max=200), "max", "must be from -100 to 100, not 200"),
        ("sqnr", Bound(min=float("inf")), "min", "must be a finite number, not inf"),
        ("sqnr", Bound(min=float("nan")), "min", "must be a finite number, not nan"),
        ("accuracy", Bound(min=0.9, max=0.8), "min", "must not be above max, 0.8"),
    ],
)
def test_a_limit_that_no_value_can_reach(metric: str, bound: Bound, name: str, message: str):
    with pytest.raises(FieldError) as caught:
        gate_limits.check_range(("gates", "float", metric), metric, bound)
    assert caught.value.path == ("gates", "float", metric, name)
    assert message in str(caught.value)


@pytest.mark.parametrize("metric", ["p50_ms", "size_kb", "class_drop_pp"])
def test_what_has_no_interval_has_no_confidence(metric: str):
    with pytest.raises(FieldError) as caught:
        gate_limits.check_confidence(("gates", "float", metric), metric, Bound(max=1, confidence=0.95))
    assert caught.value.path == ("gates", "float", metric, "confidence")


@pytest.mark.parametrize(
    ("metric", "bound"), [("drop_pp", Bound(max=-0.5)), ("sqnr", Bound(min=40)), ("mae", Bound(max=7))]
)
def test_limits_that_can_be_reached(metric: str, bound: Bound):
    gate_limits.check_range(("gates", "float", metric), metric, bound)
