"""What a reader must know of a row beside its metrics."""

from dataclasses import replace

import pytest

from driver.analysis import statistics
from driver.analysis.facts import (
    Assessment,
    CannotRun,
    CostOfFloatLayers,
    LayersInFloat,
    LimitNotHeld,
    MoreThreadsSlower,
    SaturatingProducts,
    SlowerThanFloat,
    WorseOnCpu,
)
from driver.analysis.results import Emulated, Latency, Metric, Noise, Timing, Variant
from driver.decision import row_warnings

NOISE = (Noise("onnx", "onnx.fp32", 0.02), Noise("torch", "torch.fp32", 0.3))


def row(name, milliseconds=1.0, **changes):
    image, _, recipe = name.partition(".")
    latency = None if milliseconds is None else Latency(milliseconds, 2.0, 3.0, 140)
    return replace(Variant(name, image, recipe, "ok", latency_ms=latency), **changes)


def there(cpu="haswell", accuracy=0.842, p_value=1e-6):
    return Emulated(cpu, 2000, accuracy, statistics.wilson_interval(1684, 2000), 0.8805, 0.914, p_value)


def warnings(*rows, noise=NOISE, refused=None):
    """The warnings of each row."""
    return {variant.name: variant.warnings for variant in row_warnings.add_warnings(rows, noise, refused or {})}


@pytest.mark.parametrize(
    ("image", "own", "baseline", "warning"),
    [
        ("onnx", 1.3, 1.0, (SlowerThanFloat("onnx.fp32", 1.3),)),
        ("onnx", 1.04, 1.0, ()),
        ("onnx", 1.06, 1.0, (SlowerThanFloat("onnx.fp32", 1.06),)),
        ("onnx", 1.0, 1.0, ()),
        ("onnx", 0.5, 1.0, ()),
        ("torch", 1.3, 1.0, ()),
        ("torch", 1.31, 1.0, (SlowerThanFloat("torch.fp32", 1.31),)),
        ("onnx", None, 1.0, ()),
        ("onnx", 1.3, None, ()),
    ],
)
def test_slower_than_the_float_one_of_the_same_framework(image, own, baseline, warning):
    """Beyond the noise of that image's timings, and beyond a twentieth however quiet it was."""
    warned = warnings(row(f"{image}.fp32", baseline), row(f"{image}.int8", own), row("keras.fp32", 0.001))
    assert warned == {f"{image}.fp32": (), f"{image}.int8": warning, "keras.fp32": ()}


def test_without_a_measure_of_the_noise_a_twentieth_counts():
    assert warnings(row("onnx.fp32"), row("onnx.int8", 1.06), noise=())["onnx.int8"]
    assert not warnings(row("onnx.fp32"), row("onnx.int8", 1.05), noise=())["onnx.int8"]


def test_where_there_is_no_float_baseline_nothing_is_said_of_it():
    assert warnings(row("onnx.int8", 9.0)) == {"onnx.int8": ()}


def test_a_float_variant_is_no_baseline_of_itself():
    assert warnings(row("onnx.fp32", 9.0), row("keras.fp32", 1.0)) == {"onnx.fp32": (), "keras.fp32": ()}


@pytest.mark.parametrize(("held", "count"), [(None, 0), (True, 0), (False, 1)])
def test_a_limit_that_does_not_hold_is_warnings(held, count):
    warned = warnings(row("onnx.auto", limit_held=held))["onnx.auto"]
    assert warned == (LimitNotHeld(),) * count


def test_what_layers_in_float_cost_is_told_against_the_recipe_without():
    rows = [row("onnx.auto", 0.3, in_float=("a",)), row("onnx.int8", 0.25)]
    (warned_row, _) = row_warnings.add_warnings(rows, (), {}, {"onnx.auto": "onnx.int8"})
    assert warned_row.warnings[-1] == CostOfFloatLayers("onnx.int8", None, None, pytest.approx(1.2))


def test_layers_in_float_are_named():
    warned = warnings(row("onnx.auto", in_float=("conv1", "block.2/add")))
    assert warned["onnx.auto"] == (LayersInFloat(("conv1", "block.2/add")),)


def test_only_the_cpus_where_it_loses_are_warned_of():
    runs = (there(), there("nehalem", 0.88, 0.9), there("epyc", 0.9, 1e-9))
    assert warnings(row("onnx.u8s8", emulated=runs))["onnx.u8s8"] == (
        WorseOnCpu("haswell", "accuracy", 0.842, 0.8805, 2000, 0.914),
    )


def test_what_can_not_run_on_another_cpu_is_told_with_the_reason():
    warned = warnings(
        row("onnx.int8"), row("torch.int8"), refused={"torch.int8": {"nehalem": "no AVX2"}, "onnx.int8": {}}
    )
    assert warned == {"onnx.int8": (), "torch.int8": (CannotRun("nehalem", "no AVX2"),)}


def assessed(name, low, high, **changes):
    """A row whose loss is between these, in points."""
    item = Assessment("here", "not_shown", "accuracy", "loss", 0.0, low / 100, high / 100, 0.0088, 10_000, 3)
    accuracy = Metric("accuracy", 0.88 - (low + high) / 200, None, None, None, None, "higher")
    return row(name, **{"assessments": (item,), "metrics": (accuracy,), **changes})


def saturated(low=0.5, high=1.5, **changes):
    return assessed("onnx.u8s8", low, high, saturated=True, **changes)


def good(name, milliseconds, **changes):
    """One that answers alike on every CPU, and is shown good enough."""
    shown = assessed(name, -0.2, 0.2, cpu_invariant=True, **changes)
    item = replace(shown.assessments[0], outcome="good_enough")
    return replace(shown, latency_ms=Latency(milliseconds, 2.0, 3.0, 140), assessments=(item,))


def find_saturation(*rows, remedy=None):
    """Of the first row, all in one framework but for those that are named otherwise."""
    remedies = {rows[0].name: remedy or {}}
    first, *_ = row_warnings.add_warnings(rows, NOISE, {}, remedies=remedies)
    return first.warnings


def test_what_lost_by_saturation_names_the_fastest_that_is_shown_good_and_answers_alike_everywhere():
    unsure = assessed("onnx.fast", -0.2, 0.2, cpu_invariant=True)
    rows = [good("onnx.b", 2.0), good("onnx.a", 1.5), replace(unsure, latency_ms=Latency(0.1, 0.2, 0.3, 140))]
    assert find_saturation(saturated(), *rows) == (SaturatingProducts("onnx.a", {}),)
    assert find_saturation(saturated(), rows[2]) == (SaturatingProducts("onnx.fast", {}),)


@pytest.mark.parametrize(
    "other",
    [
        good("torch.a", 1.0),
        replace(good("onnx.a", 1.0), cpu_invariant=False),
        replace(good("onnx.a", 1.0), status="failed"),
        assessed("onnx.a", 2.0, 3.0, cpu_invariant=True),
    ],
    ids=["of another framework", "not alike on every CPU", "failed", "worse itself"],
)
def test_where_nothing_else_serves_settings_are_named(other):
    remedy = {"reduce_range": True}
    assert find_saturation(saturated(), other, remedy=remedy) == (SaturatingProducts("", remedy),)


@pytest.mark.parametrize("span", [(-0.5, 1.5), (-1.5, -0.5)])
def test_saturation_that_lost_nothing_for_sure_is_no_warning(span):
    assert find_saturation(saturated(*span), good("onnx.a", 1.0)) == ()


def test_saturation_of_what_was_not_assessed_is_a_warning_where_only_fidelity_is_known():
    near = Metric("sqnr", 12.0, None, None, None, None, "higher")
    assert find_saturation(saturated(assessments=(), metrics=(near,))) == (SaturatingProducts("", {}),)
    assert find_saturation(saturated(assessments=())) == ()


def threads(batch, count, milliseconds):
    return Timing(batch, count, milliseconds, 2.0, 3.0, 140, 1000 / milliseconds, (milliseconds,))


SLOW_THREADS = (threads(1, 1, 1.0), threads(1, 2, 1.3), threads(64, 1, 50.0), threads(64, 2, 30.0))


def test_more_threads_that_are_slower_are_warned_of_unless_the_machine_was_busy():
    """Other processes take the second core, and the file is not to blame."""
    measured = [row("onnx.int8", timings=SLOW_THREADS)]
    quiet, busy = (row_warnings.add_warnings(measured, NOISE, {}, busy=busy)[0].warnings for busy in (False, True))
    assert (quiet, busy) == ((MoreThreadsSlower(1, 2, 1.3),), ())


def test_all_at_once_in_one_order_and_nothing_else_of_the_rows_changes():
    whole = row("onnx.auto", 2.0, in_float=("a",), emulated=(there(),), timings=SLOW_THREADS)
    baseline, warned_row = row_warnings.add_warnings(
        [row("onnx.fp32"), whole], NOISE, {"onnx.auto": {"nehalem": "no AVX2"}}
    )
    kinds = [warning.kind for warning in warned_row.warnings]
    assert kinds == ["slower_than_float", "layers_in_float", "worse_on_cpu", "cannot_run", "more_threads_slower"]
    assert replace(warned_row, warnings=()) == whole
    assert baseline == row("onnx.fp32")


def test_no_rows_have_no_warnings():
    assert row_warnings.add_warnings([], NOISE, {}) == []
