"""Every sentence that driver/report/layer_phrases.py writes, word for word."""

from dataclasses import replace

import pytest
from thorough import scored_layer

from driver.report import layer_phrases
from shared.sensitivity.layer_errors import Diagnosis, Sensitivity


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "weights",
            "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: its weights are too unlike for so few steps, "
            "and alone bring the accuracy to 45.0%; kept in float, the accuracy is 85.0% instead of 40.0%",
        ),
        (
            "range",
            "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: that range is too wide for so few steps, and "
            "alone brings the accuracy to 86.0%; kept in float, the accuracy is 85.0% instead of 40.0%",
        ),
        (
            "clipping",
            "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: 12.0% of them lie beyond the quantized range "
            "and are cut off; kept in float, the accuracy is 85.0% instead of 40.0%",
        ),
        (
            "everywhere",
            "no layer is to blame alone: with the weights in float the accuracy is still 50.0%; the ranges are too "
            "wide everywhere, which a few unusual calibration samples can cause: look at them, leave them out "
            "(ONNX Runtime: outliers: 10), or take 16-bit activations",
        ),
    ],
)
def test_diagnoses(kind, text):
    worst = scored_layer("Conv_2", 0.85, 0.45, 0.86, clipped=0.12)
    diagnosis = Diagnosis(kind, "" if kind == "everywhere" else "Conv_2")
    sensitivity = Sensitivity("onnx.int8", 500, 0.87, 0.4, 0.5, 0.5, 1.0, "", (worst,), diagnosis=diagnosis)
    assert layer_phrases.diagnosis_text(sensitivity) == text


def test_a_diagnosis_of_another_score():
    sensitivity = Sensitivity(
        "onnx.int8",
        500,
        0.9,
        -1.5,
        0.5,
        0.5,
        1.0,
        "",
        (scored_layer("Gemm_1", 0.8, 0.86, -1.5),),
        "R²",
        "noise",
        Diagnosis("range", "Gemm_1"),
    )
    assert layer_phrases.diagnosis_text(sensitivity).endswith(
        "alone brings the R² to -150.0%; kept in float, the R² is 80.0% instead of -150.0%"
    )


def test_no_diagnosis_has_no_text_and_a_sentence_of_an_earlier_version_stays():
    sensitivity = Sensitivity("onnx.int8", 500, 0.9, 0.9, 0.5, 0.5, 1.0, "", ())
    assert layer_phrases.diagnosis_text(sensitivity) == ""
    assert layer_phrases.diagnosis_text(replace(sensitivity, cause="Conv_1 loses it")) == "Conv_1 loses it"


def test_a_diagnosis_of_a_layer_that_is_not_there_has_no_text():
    layers = (scored_layer("Gemm_1", 0.8, 0.86, 0.4),)
    diagnosis = Diagnosis("range", "Gemm_2")
    sensitivity = Sensitivity("onnx.int8", 500, 0.9, 0.4, 0.5, 0.5, 1.0, "", layers, diagnosis=diagnosis)
    assert layer_phrases.diagnosis_text(sensitivity) == ""
