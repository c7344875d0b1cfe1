"""Whom the sentence about a large loss names, and what it says of it."""

import pytest

from shared.sensitivity.diagnosis import with_cause
from shared.sensitivity.layer_errors import Error, Layer, Sensitivity


def layer(name: str, kept: float, only_weights: float | None, only_activations: float, clipped: float = 0.0) -> Layer:
    error = Error(20.0, 0.9, 1.0)
    return Layer(name, "Conv", error, error, (-1.5, 2000.0), clipped, only_weights, only_activations, kept, 0.5)


def cause(quantized: float, *layers: Layer) -> str:
    """Of a model that is right on 87% of the images of ten classes."""
    found = Sensitivity("onnx.int8", 500, 0.87, quantized, 0.5, 0.5, 1.0, "", layers)
    return with_cause(found, 10).cause


def test_the_cause_is_the_layer_that_wins_most_in_float():
    others = layer("Conv_1", 0.41, 0.86, 0.87), layer("Conv_3", 0.42, None, 0.86)
    assert cause(0.40, *others, layer("Conv_2", 0.85, 0.45, 0.86)) == (
        "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: its weights are too unlike for so few steps, and "
        "alone bring the accuracy to 45.0%; kept in float, the accuracy is 85.0% instead of 40.0%"
    )


def test_where_no_layer_mends_it_the_cause_is_the_one_that_breaks_most_alone():
    assert cause(0.10, layer("Conv_1", 0.10, 0.86, 0.87), layer("Conv_2", 0.10, 0.80, 0.30)).startswith(
        "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: that range is too wide for so few steps, and alone "
        "brings the accuracy to 30.0%; "
    )


def test_a_range_that_cuts_off_is_named():
    assert "loses most: 12.0% of them lie beyond the quantized range and are cut off; " in cause(
        0.4, layer("Conv_1", 0.8, 0.87, 0.4, clipped=0.12)
    )


@pytest.mark.parametrize("quantized", [0.87, 0.83])
def test_a_small_loss_needs_no_cause(quantized: float):
    assert cause(quantized, layer("Conv_1", 0.87, 0.5, 0.5)) == ""


def test_another_score_is_called_by_its_name():
    """R² of a broken model is below 0."""
    broken = layer("Gemm_1", 0.8, 0.86, -1.5)
    found = Sensitivity("onnx.int8", 500, 0.9, -1.5, 0.5, 0.5, 1.0, "", (broken,), "R²", "noise")
    said = with_cause(found, 0.0).cause
    assert said.endswith("alone brings the R² to -150.0%; kept in float, the R² is 80.0% instead of -150.0%")
    assert "accuracy" not in said


def test_where_every_layer_loses_a_little_none_is_named():
    layers = tuple(layer(f"Conv_{number}", 0.43, 0.86, 0.84) for number in range(5))
    said = cause(0.40, *layers)
    assert said.startswith("no layer is to blame alone: with the weights in float the accuracy is still 50.0%; ")
    assert "outliers: 10" in said
