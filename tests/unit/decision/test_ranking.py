"""The one recipe that is tested first, of those that the images' training samples chose.

What each image chooses is tested with the selection (tests/unit/comparison/test_selection.py).
"""

from dataclasses import replace

import comparisons
import pytest
from variant_makers import change

from driver.analysis.results import Latency, Noise
from driver.decision.ranking import Choice, choose_overall
from driver.experiment.model import Prefer

ONNX = Choice("onnx", "onnx.int8", "onnx.u8s8", "onnx.u8s8", "onnx.uint8", ("onnx.u8s8",))
TORCH = Choice("torch", "torch.int8", "torch.x86", "torch.x86", "", ("torch.x86",))


def row(name, milliseconds, size):
    image, _, recipe = name.partition(".")
    made = change(comparisons.variant("onnx.int8"), name=name, image=image, recipe=recipe)
    return replace(made, latency_ms=Latency(milliseconds, 2.0, 3.0, 140), timings=(), size_bytes=size)


ROWS = (
    row("onnx.int8", 0.1, 10),
    row("onnx.u8s8", 1.0, 300),
    row("onnx.uint8", 3.0, 200),
    row("torch.x86", 1.04, 100),
    row("torch.int8", 2.0, 50),
)


def overall(*choices, prefer="latency", everywhere=False, noise=0.0):
    trial = comparisons.comparison(variants=ROWS, noise=(Noise("onnx", "onnx.fp32", noise),))
    return choose_overall(choices, trial, Prefer(prefer), everywhere=everywhere)


@pytest.mark.parametrize(
    ("prefer", "noise", "name"),
    [("latency", 0.0, "onnx.u8s8"), ("latency", 0.05, "torch.x86"), ("size", 0.0, "torch.x86")],
    ids=["the fastest", "of equally fast ones the smallest", "the smallest"],
)
def test_the_best_of_the_recommended_ones_by_what_is_preferred(prefer, noise, name):
    """Not those that one image recommends nobody, however fast or small: onnx.int8, torch.int8."""
    assert overall(ONNX, TORCH, prefer=prefer, noise=noise) == name


def test_where_other_cpus_are_targets_those_that_answer_alike_on_all_come_first():
    assert overall(ONNX, TORCH, everywhere=True) == "onnx.uint8"
    safe = replace(TORCH, safe="torch.int8")
    assert overall(ONNX, safe, everywhere=True) == "torch.int8", "the faster of two"


def test_where_none_answers_alike_on_all_the_recommended_ones_compete():
    assert overall(replace(ONNX, safe=""), TORCH, everywhere=True) == "onnx.u8s8"
