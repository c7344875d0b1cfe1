"""What a tolerance may be, and of which task."""

import pytest

from driver.experiment.tolerance import DEFAULT, Tolerance, find_tolerance, read_tolerance
from shared.errors import CrossquantError, FieldError


@pytest.mark.parametrize(
    ("written", "amount", "unit"),
    [
        ("1%", 1.0, "percent"),
        ("0.5 %", 0.5, "percent"),
        (" 1 percent ", 1.0, "percent"),
        ("0.5pp", 0.5, "points"),
        ("2 points", 2.0, "points"),
        ("30dB", 30.0, "dB"),
        ("30 db", 30.0, "dB"),
        ("-3dB", -3.0, "dB"),
        (".25", 0.25, "plain"),
        ("1e-3", 0.001, "plain"),
        (0.02, 0.02, "plain"),
        (2, 2.0, "plain"),
    ],
)
def test_what_may_be_written(written, amount, unit):
    assert read_tolerance(written) == {"amount": amount, "unit": unit}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "must be like 1% "),
        ("one percent", "must be like 1% "),
        ("1%pp", "must be like 1% "),
        ("1,5%", "must be like 1% "),
        (None, "must be like 1% .*, not None"),
        (True, "must be like 1% .*, not True"),
        (["1%"], "must be like 1% "),
        ("nan", "must be like 1% "),
        ("1e999", "must be a number above 0, not 1e999"),
        ("0", "must be a number above 0, not 0"),
        ("-0.5pp", "must be a number above 0, not -0.5"),
        ("100%", "must be below 100 %, not 100 %"),
    ],
)
def test_what_may_not(written, message):
    with pytest.raises(FieldError, match=f"^tolerance: {message}") as caught:
        read_tolerance(written)
    assert caught.value.path == ("tolerance",)


def test_a_mapping_is_as_it_is():
    assert read_tolerance({"amount": 1.0, "unit": "dB"}) == {"amount": 1.0, "unit": "dB"}


@pytest.mark.parametrize(
    ("tolerance", "text", "in_unit", "relative"),
    [
        (Tolerance(1.0, "percent"), "1 %", 0.01, True),
        (Tolerance(0.5, "points"), "0.5 points", 0.005, False),
        (Tolerance(30.0, "dB"), "30 dB", 30.0, False),
        (Tolerance(0.25), "0.25", 0.25, False),
    ],
)
def test_what_it_is_in_the_metric_s_own_unit(tolerance, text, in_unit, relative):
    assert (str(tolerance), tolerance.in_metric_unit, tolerance.relative) == (text, in_unit, relative)


def test_the_default_is_one_percent_of_the_reference():
    """MLPerf Inference asks for 99 %. Without labels there is none."""
    assert (DEFAULT.amount, DEFAULT.unit) == (1.0, "percent")
    for task, is_share in (("classification", True), ("regression", False), ("multilabel", True)):
        assert find_tolerance(None, task, is_share) == DEFAULT
    assert find_tolerance(None, "fidelity", False) is None


@pytest.mark.parametrize(
    ("declared", "task", "is_share"),
    [
        (Tolerance(0.5, "points"), "classification", True),
        (Tolerance(2.0, "percent"), "regression", False),
        (Tolerance(0.1), "regression", False),
        (Tolerance(30.0, "dB"), "fidelity", False),
        (Tolerance(30.0), "fidelity", False),
    ],
)
def test_what_fits_the_task(declared, task, is_share):
    assert find_tolerance(declared, task, is_share) == declared


@pytest.mark.parametrize(
    ("declared", "task", "message"),
    [
        (Tolerance(30.0, "dB"), "classification", "30 dB: decibels are for data without labels; the task is classif"),
        (Tolerance(0.5, "points"), "regression", "0.5 points: points are of a share; of the task regression give perc"),
        (Tolerance(1.0, "percent"), "fidelity", "1 %: without labels it is the least SQNR that a variant must have"),
        (Tolerance(0.5, "points"), "fidelity", "0.5 points: without labels it is the least SQNR"),
    ],
)
def test_what_does_not(declared, task, message):
    with pytest.raises(CrossquantError, match=f"^tolerance: {message}"):
        find_tolerance(declared, task, task == "classification")
