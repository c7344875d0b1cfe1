"""Models with several inputs and outputs, and tasks other than classification, through every stage of the image."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from images.onnx import accuracy_aware, explain, fold_batchnorm
from images.onnx.quantize.calibrate import compute_ranges
from images.onnx.quantize.outliers import measure_magnitudes
from images.onnx.session import load
from shared.contract import read
from shared.data.samples import take
from shared.errors import CrossquantError
from shared.sensitivity.layer_errors import FILE, Sensitivity
from tests.images import declared, models, two
from tests.images.onnx import quantizing

SECONDS = list(two.SECOND)
TASKS = ["classification", "regression", "fidelity"]


@pytest.fixture
def model(second: str, tmp_path: Path) -> Path:
    """A folded model, with the exported file beside it."""
    exported, folded = two.model(tmp_path / "exported", second), tmp_path / "folded"
    folded.mkdir()
    fold_batchnorm.run(exported, folded, enabled=True)
    return folded


@pytest.fixture
def samples(model: Path, second: str, task: str, tmp_path: Path) -> tuple[Path, Path]:
    """The calibration and the holdout set."""
    calibration = two.data(tmp_path / "calibration", model, second, task, 130, 1)
    return calibration, two.data(tmp_path / "holdout", model, second, task, 400, 2)


def quantize_model(model: Path, calibration: Path, folder: Path, **options: object) -> Path:
    out = folder / "onnx.tested"
    out.mkdir()
    quantizing.run(model, calibration, out, **{"activation": "uint8", **options})
    return out


@pytest.mark.parametrize("second", SECONDS)
def test_both_inputs_go_in_by_position_and_both_outputs_come_out(model: Path, second: str):
    images, other = two.inputs(7, second, 3)
    outputs = load(model, 1)((images.astype(np.float32), other))
    assert [answer.shape for answer in outputs] == [(7, 10), (7, 2)]
    for answer, expected in zip(outputs, two.reference(model, (images, other)), strict=True):
        np.testing.assert_allclose(answer, expected, atol=1e-5)
    turned = load(model, 1)((images.astype(np.float32), other[::-1].copy()))
    assert np.abs(turned[0] - outputs[0]).max() > 1e-3  # the second input counts


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", SECONDS)
def test_predictions_have_a_file_an_output(model: Path, samples: tuple[Path, Path], second: str, out: Path):
    declared.call("onnx", "predict", model, samples[0], out, batch_size=50)
    expected = two.reference(model, two.inputs(130, second, 1))
    for number, answer in enumerate(expected):
        np.testing.assert_allclose(np.load(out / f"output_{number}.npy"), answer, atol=1e-5)


@pytest.mark.parametrize("calibrate", ["minmax", "entropy", "percentile"])
@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", SECONDS)
def test_every_calibrator_takes_both_inputs(model, samples, second, calibrate, tmp_path):
    variant = quantize_model(model, samples[0], tmp_path, calibrate=calibrate)
    layers = 4 + (second == "float32")
    assert json.loads((variant / "quantized.json").read_text()) == {"quantized": layers, "operators": layers}
    images, other = two.inputs(60, second, 4)
    batch = (images.astype(np.float32), other)
    for outputs, exact in zip(load(variant, 1)(batch), load(model, 1)(batch), strict=True):
        assert 0 < np.abs(outputs - exact).max() < 0.2


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", SECONDS)
def test_the_ranges_are_of_what_is_float(model, samples, second, tmp_path):
    """Integers have none, the second input of floats has its own."""
    ranges = compute_ranges(model / models.FILE, samples[0], "minmax", 100.0, tmp_path)
    limits = {name: tuple(float(np.squeeze(end)) for end in data.range_value) for name, data in ranges.items()}
    images, other = two.inputs(130, second, 1)
    assert limits["image"] == (images.min(), images.max())
    assert ("second" in limits) is (second == "float32")
    if second == "float32":
        assert limits["second"] == pytest.approx((other.min(), other.max()))
    exact = two.reference(model, (images, other))[1]
    assert limits["values"] == pytest.approx((exact.min(), exact.max()), rel=1e-4)


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", SECONDS)
def test_a_sample_that_no_other_is_like_is_left_out_with_all_its_inputs(model, samples, tmp_path):
    calibration, _ = samples
    images = np.load(calibration / "input_0.npy").astype(np.float32)
    images[17] *= 1000
    np.save(calibration / "input_0.npy", images)
    assert len(measure_magnitudes(model / models.FILE, calibration, tmp_path)) == 130
    variant = quantize_model(model, calibration, tmp_path, outliers=10.0)
    [scale] = [item for item in onnx.load(variant / models.FILE).graph.initializer if item.name == "image_scale"]
    assert float(onnx.numpy_helper.to_array(scale)) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", ["float32"])
def test_not_a_number_in_the_second_input_is_found(model, samples, tmp_path):
    other = np.load(samples[0] / "input_1.npy")
    other[107, 2] = np.nan
    np.save(samples[0] / "input_1.npy", other)
    with pytest.raises(CrossquantError, match=r"^calibration sample 107 has NaN or infinity"):
        quantize_model(model, samples[0], tmp_path)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("second", ["int32", "float32"])
def test_explain_scores_by_the_task(model, samples, task, tmp_path, out):
    """Only the judged output counts: for regression it is the second one, so the layers of the others have
    no effect.
    """
    explain.run(quantize_model(model, samples[0], tmp_path), model, samples[0], out, images=100)
    sensitivity = read(Sensitivity, out / FILE)
    layers = {layer.name: layer for layer in sensitivity.layers}
    assert sensitivity.float_accuracy == pytest.approx(1.0, abs=1e-6)
    assert 0.5 < sensitivity.quantized_accuracy <= 1.0
    assert 0 < sensitivity.float_kl < 0.5
    heads = {node.output[0]: node.name for node in onnx.load(model / models.FILE).graph.node}
    names = {"classification": ("accuracy", "KL divergence"), "regression": ("R²", "noise")}
    assert (sensitivity.score, sensitivity.distance) == names.get(task, ("agreement", "noise"))
    judged_layer, other = layers[heads["values"]], layers[heads["probabilities"]]
    if task != "regression":
        judged_layer, other = other, judged_layer
    assert other.only_activations == pytest.approx(1.0, abs=1e-6)  # it changes nothing in the judged output
    assert judged_layer.kept_kl < other.kept_kl
    if task == "regression":
        assert (
            sensitivity.quantized_accuracy <= judged_layer.only_activations < 1.0
        )  # R², of values that all are a little off


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("second", ["int64", "float32"])
def test_accuracy_aware_quantization_holds_the_tasks_score(model, samples, out):
    options = declared.defaults("onnx", "accuracy_aware") | {"activation": "uint8", "max_drop_pp": 0.001}
    options |= {"calibrate": "percentile", "percentile": 90.0}  # it cuts enough to change a class
    accuracy_aware.run(model, *samples, out, **options)
    record = json.loads((out / "excluded.json").read_text())
    assert record["float_accuracy"] == pytest.approx(1.0, abs=1e-6)
    assert record["trials"][0]["excluded"] == []
    assert record["trials"][0]["accuracy"] < record["float_accuracy"]
    scores = {tuple(trial["excluded"]): trial["accuracy"] for trial in record["trials"]}
    assert record["layers"]
    assert scores[tuple(record["layers"])] > record["trials"][0]["accuracy"]
    assert len(load(out, 1)(take(samples[1], slice(3)))) == 2
