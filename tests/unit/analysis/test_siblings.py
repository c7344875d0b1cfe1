"""A row that is much further from float than others that round as much is told so, output by output."""

from dataclasses import replace
from typing import Any

import pytest

from driver.analysis import siblings
from driver.analysis.facts import FarFromFloat, RowWarning
from driver.analysis.results import Drift, OutputDrift, Variant
from driver.decision import row_warnings
from shared.contract import Step


def row(name: str, *decibels: float | None, **changes: Any) -> Variant:
    """With the SQNR of each output."""
    image, _, recipe = name.partition(".")
    drift = Drift(100, None, None, 0.1, 0.1, decibels[0], 0.9, None) if decibels else None
    several = [OutputDrift(number, value, 0.9, 0.1) for number, value in enumerate(decibels)]
    outputs = tuple(several) if len(several) > 1 else ()
    return replace(Variant(name, image, recipe, "ok", drift=drift, outputs=outputs), **changes)


def told(*rows: Variant, finer: tuple[str, ...] = ()) -> dict[str, tuple[RowWarning, ...]]:
    """The warnings of the rows that have any; all but `finer` round everything to 8 bits."""
    rounding = {item.name: item.name not in finer for item in rows}
    warned = row_warnings.add_warnings(rows, (), {}, rounding=rounding)
    return {item.name: item.warnings for item in warned if item.warnings}


def test_the_wrong_row_is_told_the_figures_and_the_row_that_it_is_held_against():
    warnings = told(row("onnx.fp32", None), row("onnx.int8", 40.3), row("onnx.u8s8", 15.0), row("torch.x86", 38.0))
    assert warnings == {"onnx.u8s8": (FarFromFloat(None, 15.0, "onnx.int8", 40.3),)}


def test_a_fault_of_all_files_of_a_framework_shows_against_another_framework():
    warnings = told(row("onnx.int8", 15.0), row("onnx.u8s8", 15.2), row("torch.x86", 38.0))
    assert warnings.keys() == {"onnx.int8", "onnx.u8s8"}


@pytest.mark.parametrize(("own", "best", "far"), [(15.1, 30.0, False), (14.9, 30.0, True), (39.9, 55.0, True)])
def test_fifteen_decibels_are_far(own: float, best: float, far: bool):
    assert bool(told(row("onnx.a", own), row("onnx.b", best))) == far


def test_what_is_near_enough_is_told_nothing_however_near_another_is():
    assert told(row("onnx.a", 40.0), row("onnx.b", 80.0), row("onnx.c", None)) == {}


def test_where_nothing_differs_that_is_the_best_there_is():
    assert told(row("onnx.a", 20.0), row("onnx.b", None)) == {"onnx.a": (FarFromFloat(None, 20.0, "onnx.b", None),)}


def test_each_output_is_held_against_the_same_output():
    warnings = told(row("onnx.a", 30.0, 10.0, 12.0), row("torch.b", 29.0, 31.0, 11.0), row("torch.c", 30.0, 33.0, 10.0))
    assert warnings == {"onnx.a": (FarFromFloat(1, 10.0, "torch.c", 33.0),)}


def test_what_rounds_less_is_no_measure_for_what_rounds_all():
    rows = (row("onnx.int8", 20.0), row("onnx.float16", 75.0), row("litert.dynamic", 41.0), row("onnx.a16w8", 45.0))
    assert told(*rows, finer=("onnx.float16", "litert.dynamic", "onnx.a16w8")) == {}


def test_what_rounds_less_must_be_as_good_as_what_rounds_all():
    warnings = told(row("onnx.int8", 30.0), row("onnx.dynamic", 12.0), finer=("onnx.dynamic",))
    assert warnings.keys() == {"onnx.dynamic"}


def test_float_rows_and_rows_without_answers_are_neither_judged_nor_a_measure():
    assert told(row("keras.fp32", None), row("onnx.int8", 3.0), row("torch.x86", status="unsupported")) == {}


def test_a_row_that_answers_at_chance_is_told_too():
    broken = row("onnx.int8", 1.0, status="failed", reason="answers at chance")
    assert told(broken, row("onnx.u8s8", 20.0)).keys() == {"onnx.int8"}


@pytest.mark.parametrize(
    ("inputs", "parameters", "run", "all_of_it"),
    [
        (("onnx.fp32", "exported", "calibration"), {"activation": "uint8", "exclude": []}, "quantize", True),
        (("onnx.fp32", "calibration"), {"backend": "x86", "activation": "quint8"}, "quantize", True),
        (("onnx.fp32", "calibration"), {"preset": "mixed"}, "quantize", True),
        (("onnx.fp32", "calibration"), {"form": "exported"}, "pt2e", True),
        (("onnx.fp32", "calibration"), {"activation": "uint8", "exclude_types": ["Softmax"]}, "quantize", True),
        (("onnx.fp32", "exported", "calibration"), {"activation": "uint16"}, "quantize", False),
        (("onnx.fp32", "exported", "calibration"), {"activation": "uint8", "exclude": ["conv"]}, "quantize", False),
        (("onnx.fp32", "calibration", "holdout"), {"activation": "uint8"}, "accuracy_aware", False),
        (("onnx.fp32",), {"weight": "int8"}, "dynamic", False),
        (("onnx.fp32",), {}, "float16", False),
    ],
)
def test_what_rounds_all_is_read_from_the_step(
    inputs: tuple[str, ...], parameters: dict[str, Any], run: str, all_of_it: bool
):
    step = Step(output="onnx.a", image="onnx", run=run, inputs=inputs, optional=(), parameters=parameters, default=True)
    assert siblings.rounds_all(step) == all_of_it
