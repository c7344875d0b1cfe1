"""What a reader must know of a row beside its figures, in a sentence each."""

from dataclasses import replace

import pytest

from driver.analysis import statistics
from driver.analysis.results import Emulated, Latency, Noise, Variant
from driver.decision import row_warnings

NOISE = (Noise("onnx", "onnx.fp32", 0.02), Noise("torch", "torch.fp32", 0.3))


def row(name, milliseconds=1.0, **changes):
    image, _, recipe = name.partition(".")
    latency = None if milliseconds is None else Latency(milliseconds, 2.0, 3.0, 140)
    return replace(Variant(name, image, recipe, "ok", latency_ms=latency), **changes)


def there(cpu="haswell", accuracy=0.842, p_value=1e-6):
    return Emulated(cpu, 2000, accuracy, statistics.wilson(1684, 2000), 0.8805, 0.914, p_value)


def told(*rows, noise=NOISE, refused=None):
    """The remarks of each row."""
    return {found.name: found.remarks for found in row_warnings.add(rows, noise, refused or {})}


@pytest.mark.parametrize(
    ("image", "own", "twin", "remark"),
    [
        ("onnx", 1.3, 1.0, ("1.3× slower than onnx.fp32, its float twin",)),
        ("onnx", 1.04, 1.0, ()),
        ("onnx", 1.06, 1.0, ("1.1× slower than onnx.fp32, its float twin",)),
        ("onnx", 1.0, 1.0, ()),
        ("onnx", 0.5, 1.0, ()),
        ("torch", 1.3, 1.0, ()),
        ("torch", 1.31, 1.0, ("1.3× slower than torch.fp32, its float twin",)),
        ("onnx", None, 1.0, ()),
        ("onnx", 1.3, None, ()),
    ],
)
def test_slower_than_the_float_one_of_the_same_framework(image, own, twin, remark):
    """Beyond the noise of that image's timings, and beyond a twentieth however quiet it was."""
    found = told(row(f"{image}.fp32", twin), row(f"{image}.int8", own), row("keras.fp32", 0.001))
    assert found == {f"{image}.fp32": (), f"{image}.int8": remark, "keras.fp32": ()}


def test_without_a_measure_of_the_noise_a_twentieth_counts():
    assert told(row("onnx.fp32"), row("onnx.int8", 1.06), noise=())["onnx.int8"]
    assert not told(row("onnx.fp32"), row("onnx.int8", 1.05), noise=())["onnx.int8"]


def test_where_there_is_no_float_twin_nothing_is_said_of_it():
    assert told(row("onnx.int8", 9.0)) == {"onnx.int8": ()}


def test_a_float_variant_is_no_twin_of_itself():
    assert told(row("onnx.fp32", 9.0), row("keras.fp32", 1.0)) == {"onnx.fp32": (), "keras.fp32": ()}


@pytest.mark.parametrize(("held", "count"), [(None, 0), (True, 0), (False, 1)])
def test_a_limit_that_does_not_hold_is_told(held, count):
    found = told(row("onnx.auto", limit_held=held))["onnx.auto"]
    assert [remark.startswith("no choice of layers held max_drop_pp") for remark in found] == [True] * count


def test_what_layers_in_float_cost_is_told_against_the_recipe_without():
    rows = [row("onnx.auto", 0.3, in_float=("a",)), row("onnx.int8", 0.25)]
    (found, _) = row_warnings.add(rows, (), {}, {"onnx.auto": "onnx.int8"})
    assert found.remarks[-1] == ("against onnx.int8, which has none in float: 1.20 times its latency")


def test_layers_in_float_are_named():
    found = told(row("onnx.auto", in_float=("conv1", "block.2/add")))
    assert found["onnx.auto"] == ("2 of its layers stayed in float: conv1, block.2/add",)


def test_only_the_cpus_where_it_loses_are_remarked_on():
    runs = (there(), there("nehalem", 0.88, 0.9), there("epyc", 0.9, 1e-9))
    assert told(row("onnx.u8s8", emulated=runs))["onnx.u8s8"] == (
        "84.2 % on haswell, 88.0 % here, on the same 2,000 images (same answer on 91.4 %)",
    )


def test_what_can_not_run_elsewhere_is_told_with_the_reason():
    found = told(row("onnx.int8"), row("torch.int8"), refused={"torch.int8": {"nehalem": "no AVX2"}, "onnx.int8": {}})
    assert found == {"onnx.int8": (), "torch.int8": ("can't run on nehalem: no AVX2",)}


def test_all_at_once_in_one_order_and_nothing_else_of_the_rows_changes():
    whole = row("onnx.auto", 2.0, in_float=("a",), emulated=(there(),))
    twin, found = row_warnings.add([row("onnx.fp32"), whole], NOISE, {"onnx.auto": {"nehalem": "no AVX2"}})
    assert [remark.split(" ")[0] for remark in found.remarks] == ["2.0×", "1", "84.2", "can't"]
    assert replace(found, remarks=()) == whole
    assert twin == row("onnx.fp32")


def test_no_rows_have_no_remarks():
    assert row_warnings.add([], NOISE, {}) == []
