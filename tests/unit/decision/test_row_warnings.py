"""What a reader must know of a row beside its metrics."""

from dataclasses import replace

import pytest

from driver.analysis import statistics
from driver.analysis.facts import CannotRun, CostOfFloatLayers, LayersInFloat, LimitNotHeld, SlowerThanFloat, WorseOnCpu
from driver.analysis.results import Emulated, Latency, Noise, Variant
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


def test_all_at_once_in_one_order_and_nothing_else_of_the_rows_changes():
    whole = row("onnx.auto", 2.0, in_float=("a",), emulated=(there(),))
    baseline, warned_row = row_warnings.add_warnings(
        [row("onnx.fp32"), whole], NOISE, {"onnx.auto": {"nehalem": "no AVX2"}}
    )
    kinds = [warning.kind for warning in warned_row.warnings]
    assert kinds == ["slower_than_float", "layers_in_float", "worse_on_cpu", "cannot_run"]
    assert replace(warned_row, warnings=()) == whole
    assert baseline == row("onnx.fp32")


def test_no_rows_have_no_warnings():
    assert row_warnings.add_warnings([], NOISE, {}) == []
