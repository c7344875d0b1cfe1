"""Which layer causes a large loss, and what of it."""

import pytest
from thorough import scored_layer

from shared.sensitivity.diagnosis import with_diagnosis
from shared.sensitivity.layer_errors import Diagnosis, Layer, Sensitivity


def diagnosis(quantized: float, *layers: Layer) -> Diagnosis | None:
    """The diagnosis of a model of ten classes whose float accuracy is 87%."""
    sensitivity = Sensitivity("onnx.int8", 500, 0.87, quantized, 0.5, 0.5, 1.0, "", layers)
    return with_diagnosis(sensitivity, 0.1).diagnosis


def test_the_cause_is_the_layer_that_gains_most_in_float():
    others = scored_layer("Conv_1", 0.41, 0.86, 0.87), scored_layer("Conv_3", 0.42, None, 0.86)
    assert diagnosis(0.40, *others, scored_layer("Conv_2", 0.85, 0.45, 0.86)) == Diagnosis("weights", "Conv_2")


def test_if_no_layer_in_float_helps_it_is_the_one_that_costs_most_alone():
    layers = scored_layer("Conv_1", 0.10, 0.86, 0.87), scored_layer("Conv_2", 0.10, 0.80, 0.30)
    assert diagnosis(0.10, *layers) == Diagnosis("range", "Conv_2")


def test_a_range_that_cuts_off_is_named():
    assert diagnosis(0.4, scored_layer("Conv_1", 0.8, 0.87, 0.4, clipped=0.12)) == Diagnosis("clipping", "Conv_1")


@pytest.mark.parametrize("quantized", [0.87, 0.83])
def test_a_small_loss_needs_no_diagnosis(quantized: float):
    assert diagnosis(quantized, scored_layer("Conv_1", 0.87, 0.5, 0.5)) is None


def test_a_broken_model_of_another_score():
    """R² of a broken model is below 0."""
    broken = scored_layer("Gemm_1", 0.8, 0.86, -1.5)
    sensitivity = Sensitivity("onnx.int8", 500, 0.9, -1.5, 0.5, 0.5, 1.0, "", (broken,), "R²", "noise")
    assert with_diagnosis(sensitivity, 0.0).diagnosis == Diagnosis("range", "Gemm_1")


def test_where_every_layer_loses_a_little_none_is_named():
    layers = tuple(scored_layer(f"Conv_{number}", 0.43, 0.86, 0.84) for number in range(5))
    assert diagnosis(0.40, *layers) == Diagnosis("everywhere")
