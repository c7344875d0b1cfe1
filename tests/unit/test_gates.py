"""Gates: which bound meets which row, and what holds at the limit and just beyond it."""

import json

import pytest

from driver import gates
from driver.comparison import Variant
from driver.experiment import Bound, Gates
from driver.gates import Gate


def row(name="onnx.int8", **figures):
    image, _, recipe = name.partition(".")
    return Variant(name, image, recipe, "ok", **figures)


def only(limits, *rows):
    (gate,) = gates.evaluate(limits, rows)
    return gate


@pytest.mark.parametrize(("accuracy", "holds"), [(0.8501, True), (0.85, True), (0.8499, False)])
def test_a_least_value_holds_at_the_limit(accuracy, holds):
    gate = only(Gates(quantized={"accuracy": Bound(min=0.85)}), row(accuracy=accuracy))
    assert gate == Gate("onnx.int8", "accuracy", "min", 0.85, accuracy, holds)


@pytest.mark.parametrize(("delta", "holds"), [(1.0, True), (-1.99, True), (-2.0, True), (-2.01, False)])
def test_a_largest_drop_holds_at_the_limit(delta, holds):
    gate = only(Gates(quantized={"drop_pp": Bound(max=2.0)}), row(delta_pp=delta))
    assert gate == Gate("onnx.int8", "drop_pp", "max", 2.0, -delta, holds)


@pytest.mark.parametrize(
    ("agreement", "changed", "holds"), [(1.0, 0.0, True), (0.9999, 0.0001, True), (0.9998, 0.0002, False)]
)
def test_a_share_that_changed_is_not_spoilt_by_rounding(agreement, changed, holds):
    """1 - 0.9999 is a little more than 0.0001."""
    gate = only(Gates(float={"changed": Bound(max=0.0001)}), row("onnx.fp32", agreement=agreement))
    assert gate == Gate("onnx.fp32", "changed", "max", 0.0001, changed, holds)


def test_no_drop_is_nought_without_a_sign():
    gate = only(Gates(quantized={"drop_pp": Bound(max=2.0)}), row(delta_pp=0.0))
    assert json.dumps(gate.value) == "0.0"


def test_both_bounds_of_a_figure_are_gates():
    found = list(gates.evaluate(Gates(quantized={"accuracy": Bound(min=0.5, max=0.8)}), [row(accuracy=0.9)]))
    assert [(gate.bound, gate.holds) for gate in found] == [("min", True), ("max", False)]


def test_a_limit_of_nought_is_a_limit():
    assert not only(Gates(float={"changed": Bound(max=0.0)}), row("torch.fp32", agreement=0.9)).holds
    assert only(Gates(quantized={"drop_pp": Bound(min=0.0)}), row(delta_pp=0.5)).holds is False


def test_float_and_quantized_rows_have_their_own_bounds():
    limits = Gates(float={"accuracy": Bound(min=0.9)}, quantized={"accuracy": Bound(min=0.8)})
    rows = [row("keras.fp32", accuracy=0.85), row("onnx.fp32", accuracy=0.85), row("onnx.int8", accuracy=0.85)]
    found = [(gate.variant, gate.limit, gate.holds) for gate in gates.evaluate(limits, rows)]
    assert found == [("keras.fp32", 0.9, False), ("onnx.fp32", 0.9, False), ("onnx.int8", 0.8, True)]


def test_a_row_without_the_figure_has_no_gate():
    limits = Gates(quantized={figure: Bound(min=0.0) for figure in ("accuracy", "drop_pp", "changed")})
    assert list(gates.evaluate(limits, [row()])) == []
    assert only(limits, row(accuracy=0.5)).figure == "accuracy"
