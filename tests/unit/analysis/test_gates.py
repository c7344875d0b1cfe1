"""Gates: which bound meets which row, and what holds at the limit and just beyond it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from variant_makers import change, make_variant

from driver.analysis import gates
from driver.analysis.results import Cold, Count, Drift, Gate, Interval, Latency, Metric, Paired, UncheckedGate, Variant
from driver.experiment.model import Bound, Gates
from driver.experiment.task_specs import TASKS


def row(name="onnx.int8", **figures):
    image, _, recipe = name.partition(".")
    return make_variant(name, image, recipe, "ok", **figures)


def only(limits, *rows):
    (gate,) = gates.check_gates(limits, rows)
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
    checked = list(gates.check_gates(Gates(quantized={"accuracy": Bound(min=0.5, max=0.8)}), [row(accuracy=0.9)]))
    assert [(gate.bound, gate.holds) for gate in checked] == [("min", True), ("max", False)]


def test_a_limit_of_nought_is_a_limit():
    assert not only(Gates(float={"changed": Bound(max=0.0)}), row("torch.fp32", agreement=0.9)).holds
    assert only(Gates(quantized={"drop_pp": Bound(min=0.0)}), row(delta_pp=0.5)).holds is False


def test_float_and_quantized_rows_have_their_own_bounds():
    limits = Gates(float={"accuracy": Bound(min=0.9)}, quantized={"accuracy": Bound(min=0.8)})
    rows = [row("keras.fp32", accuracy=0.85), row("onnx.fp32", accuracy=0.85), row("onnx.int8", accuracy=0.85)]
    checked = [(gate.variant, gate.limit, gate.holds) for gate in gates.check_gates(limits, rows)]
    assert checked == [("keras.fp32", 0.9, False), ("onnx.fp32", 0.9, False), ("onnx.int8", 0.8, True)]


def test_a_row_without_the_figure_has_no_gate():
    limits = Gates(quantized={figure: Bound(min=0.0) for figure in ("accuracy", "drop_pp", "changed")})
    assert list(gates.check_gates(limits, [row()])) == []
    assert only(limits, row(accuracy=0.5)).metric == "accuracy"


def counted(both_right=850, only_reference=20, only_variant=10, both_wrong=120, name="onnx.int8"):
    """A row with the figures that follow from these counts; 25 more images are wrong in another way."""
    right, before = both_right + only_variant, both_right + only_reference
    images = before + only_variant + both_wrong
    changed = only_reference + only_variant + 25
    return row(
        name,
        accuracy=right / images,
        delta_pp=100 * (right - before) / images,
        agreement=1 - changed / images,
        paired=Paired(both_right, only_reference, only_variant, both_wrong, -1.0, Interval(-2.1, 0.1), 0.1),
        drift=Drift(images, changed, 1 - changed / images, 0.5, 0.1, 20.0, 0.99, 0.01),
        classes=(Count(right, images),),
    )


WILSON_860 = {0.95: (0.8371, 0.8802), 0.9: (0.8409, 0.8771)}
"""860 of 1000, by Wilson's formula with z = 1.960 and 1.645."""


@pytest.mark.parametrize("confidence", WILSON_860)
@pytest.mark.parametrize(("bound", "end"), [("min", 0), ("max", 1)])
def test_with_a_confidence_the_worse_end_of_an_accuracy_must_hold(confidence, bound, end):
    value = WILSON_860[confidence][end]
    beyond = 0.001 if bound == "min" else -0.001
    for limit, holds in ((value - beyond, True), (value + beyond, False)):
        limits = Gates(quantized={"accuracy": Bound(**{bound: limit}, confidence=confidence)})
        gate = only(limits, counted())
        assert gate == Gate("onnx.int8", "accuracy", bound, limit, pytest.approx(value, abs=1e-4), holds, confidence)


def test_with_a_confidence_the_larger_drop_must_hold():
    """Newcombe's interval of 20 against 10 discordant images in 1000, method 10: from -0.1 to 2.1 points lost."""
    (least, most) = gates.check_gates(Gates(quantized={"drop_pp": Bound(min=-1, max=2, confidence=0.95)}), [counted()])
    assert (least.bound, least.value, least.holds) == ("min", pytest.approx(-0.09, abs=0.03), True)
    assert (most.bound, most.value, most.holds) == ("max", pytest.approx(2.13, abs=0.03), False)
    assert only(Gates(quantized={"drop_pp": Bound(max=2)}), counted()).holds, "the point alone would hold"


def test_a_drop_mirrors_a_gain():
    lost, gained = counted(), counted(only_reference=10, only_variant=20)
    limits = Gates(quantized={"drop_pp": Bound(min=-9, max=9, confidence=0.95)})
    (low, high), (other_low, other_high) = (list(gates.check_gates(limits, [each])) for each in (lost, gained))
    assert (low.value, high.value) == (pytest.approx(-other_high.value), pytest.approx(-other_low.value))


def test_with_a_confidence_the_larger_share_of_changed_answers_must_hold():
    """55 of 1000."""
    limits = Gates(float={"changed": Bound(max=0.06, confidence=0.95)})
    gate = only(limits, counted(name="onnx.fp32"))
    assert gate == Gate("onnx.fp32", "changed", "max", 0.06, pytest.approx(0.0710, abs=1e-4), False, 0.95)


def test_nothing_changed_is_not_surely_nothing():
    row = counted(both_right=1000, only_reference=0, only_variant=0, both_wrong=0, name="onnx.fp32")
    limits = Gates(float={"changed": Bound(max=0.0001, confidence=0.95)})
    row = replace(row, drift=replace(row.drift, agreement=1.0, changed=0))
    assert only(limits, row).value == pytest.approx(0.00383, abs=1e-5)


def test_more_confidence_asks_for_more():
    values = [
        only(Gates(quantized={"accuracy": Bound(min=0.5, confidence=level)}), counted()).value
        for level in (0.5, 0.9, 0.99)
    ]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 3


def test_an_accuracy_without_a_reference_has_an_interval_too():
    alone = replace(change(counted(), delta_pp=None, paired=None), drift=None)
    gate = only(Gates(quantized={"accuracy": Bound(min=0.8, confidence=0.95)}), alone)
    assert (gate.value, gate.holds) == (pytest.approx(WILSON_860[0.95][0], abs=1e-4), True)


# Metrics that are no shares: the interval is between percentiles of the resampled values, at any confidence.

RESAMPLED = np.arange(2001.0) / 1000  # from 0 to 2


def regressed(value=1.0, delta=0.1):
    metric = Metric("mae", value, None, delta, None, None, "lower")
    return Variant("onnx.int8", "onnx", "int8", "ok", metrics=(metric,))


def only_resampled(limits, replicates):
    """The gate, where the resampled values of each gate's metric are these."""
    (gate,) = gates.check_gates(limits, [regressed()], "regression", replicate=lambda _, name: replicates.get(name))
    return gate


@pytest.mark.parametrize(("confidence", "least", "most"), [(0.95, 0.05, 1.95), (0.9, 0.1, 1.9), (0.5, 0.5, 1.5)])
def test_an_error_with_a_confidence_is_at_a_percentile_of_its_resamples(confidence, least, most):
    for bound, end in (({"min": 0.0}, least), ({"max": 9.0}, most)):
        limits = Gates(quantized={"mae": Bound(**bound, confidence=confidence)})
        assert only_resampled(limits, {"mae": RESAMPLED}).value == pytest.approx(end)


def test_a_loss_in_percent_with_a_confidence_is_of_the_reference():
    """The reference's error is 0.9."""
    limits = Gates(quantized={"worse_percent": Bound(max=500, confidence=0.95)})
    assert only_resampled(limits, {"worse_percent": RESAMPLED}).value == pytest.approx(100 * 1.95 / 0.9)


def test_without_resamples_the_point_must_hold():
    for replicates in ({}, {"mae": np.full(9, np.nan)}):
        assert only_resampled(Gates(quantized={"mae": Bound(max=2, confidence=0.95)}), replicates).value == 1.0


def test_resamples_that_do_not_tell_the_metric_are_left_out():
    holes = np.concatenate([RESAMPLED, np.full(500, np.nan)])
    gate = only_resampled(Gates(quantized={"mae": Bound(max=2, confidence=0.95)}), {"mae": holes})
    assert gate.value == pytest.approx(1.95)


def costly(name="onnx.int8", **changes):
    """A row of which everything was measured."""
    latency, cold = Latency(0.25, 0.3, 0.5, 400), Cold(0.2, 0.3, 0.4, 80_000_000)
    return replace(
        row(name, accuracy=0.9), size_bytes=101_000, latency_ms=latency, cold=cold, images_per_second=4000.0, **changes
    )


@pytest.mark.parametrize(
    ("metric", "bound", "value"),
    [
        ("p50_ms", "max", 0.25),
        ("p99_ms", "max", 0.5),
        ("cold_start_seconds", "max", 0.4),
        ("size_kb", "max", 101.0),
        ("peak_memory_mb", "max", 80.0),
        ("throughput", "min", 4000.0),
    ],
)
@pytest.mark.parametrize("task", list(TASKS))
def test_a_gate_of_any_task_may_be_on_a_cost(metric, bound, value, task):
    better, worse = (1.01, 0.99) if bound == "max" else (0.99, 1.01)
    for factor, holds in ((1, True), (better, True), (worse, False)):
        limits = Gates(quantized={metric: Bound(**{bound: factor * value})})
        (gate,) = gates.check_gates(limits, [costly()], task)
        assert gate == Gate("onnx.int8", metric, bound, factor * value, value, holds)


@pytest.mark.parametrize("metric", list(gates.COSTS))
def test_what_was_not_measured_is_not_held_but_named(metric):
    limits = Gates(quantized={metric: Bound(max=1e9)})
    rows = [costly("onnx.u8s8"), row(accuracy=0.9), row("onnx.uint8", accuracy=0.9)]
    rows[2] = replace(rows[2], status="failed")
    assert [gate.variant for gate in gates.check_gates(limits, rows)] == ["onnx.u8s8"]
    unchecked = list(gates.find_unchecked_gates(limits, rows, None))
    assert unchecked == [UncheckedGate("onnx.int8", metric)], "what failed has a status that says why"


CLASSES = (Count(90, 100), Count(70, 100), Count(0, 0), Count(30, 50))


def test_the_worst_class_is_held_to_a_gate_and_named():
    reference = replace(row("keras.fp32", accuracy=0.8), classes=CLASSES)
    lost = replace(row(accuracy=0.8), classes=(Count(86, 100), Count(70, 100), Count(0, 0), Count(29, 50)))
    limits = Gates(quantized={"class_accuracy": Bound(min=0.6), "class_drop_pp": Bound(max=3)})
    least, drop = gates.check_gates(limits, [reference, lost], base=reference)
    assert least == Gate("onnx.int8", "class_accuracy", "min", 0.6, 0.58, False, label=3)
    assert drop == Gate("onnx.int8", "class_drop_pp", "max", 3, 4.0, False, label=0)


def test_a_drop_of_a_class_without_a_reference_is_not_checked():
    lost = replace(row(accuracy=0.8), classes=CLASSES)
    limits = Gates(quantized={"class_drop_pp": Bound(max=3)})
    assert list(gates.check_gates(limits, [lost])) == []
    assert list(gates.find_unchecked_gates(limits, [lost], None)) == [UncheckedGate("onnx.int8", "class_drop_pp")]
