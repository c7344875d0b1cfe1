"""Models with several inputs and outputs, and tasks other than classification, through every stage of the image."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from images.torch import accuracy_aware, convert, explain, pt2e, quantize
from images.torch.quantize import fx
from images.torch.runtime import formats
from shared.artifacts import store
from shared.data.samples import take
from shared.errors import CrossquantError
from tests.images import declared, models, two
from tests.images.torch.stages import defaults

SECONDS = list(two.SECOND)
TASKS = ["classification", "regression", "fidelity"]
BACKEND = {"backend": "onednn"}


@pytest.fixture
def model(second: str, tmp_path: Path) -> Path:
    return two.model(tmp_path / "model", second)


@pytest.fixture
def samples(model: Path, second: str, task: str, tmp_path: Path) -> tuple[Path, Path]:
    """The calibration and the holdout set."""
    calibration = two.data(tmp_path / "calibration", model, second, task, 130, 1)
    return calibration, two.data(tmp_path / "holdout", model, second, task, 400, 2)


@pytest.mark.parametrize("second", SECONDS)
def test_both_inputs_go_in_by_position_and_both_outputs_come_out(model: Path, second: str, out: Path):
    convert.run(model, out)
    for count in (1, 7):
        images, other = two.inputs(count, second, 3)
        answers = formats.load(out, 1)((images.astype(np.float32), other))
        for answer, expected in zip(answers, two.reference(model, (images, other)), strict=True):
            assert answer.shape == expected.shape
            np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.parametrize("second", SECONDS)
def test_the_example_has_the_types_that_the_file_asks_for(model: Path, second: str):
    for count, (image, other) in zip((3, 2), convert.example_batches(model), strict=True):
        assert tuple(image.shape) == (count, *models.SHAPE)
        assert str(other.dtype) == f"torch.{second}"
        assert tuple(other.shape) == (count, *two.SECOND[second][1])


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("observer", ["histogram", "minmax"])
def test_fx_quantizes_all_layers_and_gives_both_outputs(observer, second, model, samples, out):
    quantize.run(model, samples[0], out, **{**defaults("quantize"), **BACKEND, "observer": observer})
    check(model, samples[0], second, out)


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", SECONDS)
def test_pt2e_quantizes_all_layers_and_gives_both_outputs(second, model, samples, out):
    pt2e.run(model, samples[0], out, **{**defaults("pt2e"), "form": "exported"})
    check(model, samples[0], second, out)


def check(model: Path, calibration: Path, second: str, out: Path) -> None:
    """All layers are quantized, and both outputs of every sample are near those of the float model."""
    written, layers = formats.read_json(out), 4 + (second == "float32")
    assert (written["quantized"], written["operators"]) == (layers, layers)
    declared.call("torch", "predict", out, calibration, out, batch_size=50)
    for number, exact in enumerate(two.reference(model, two.inputs(130, second, 1))):
        answer = np.load(out / f"output_{number}.npy")
        assert answer.shape == exact.shape
        assert 0 < np.abs(answer - exact).max() < 0.3


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", ["float32"])
def test_not_a_number_in_the_second_input_is_found(model, samples, out):
    other = np.load(samples[0] / "input_1.npy")
    other[107, 2] = np.nan
    np.save(samples[0] / "input_1.npy", other)
    with pytest.raises(CrossquantError, match=r"^calibration sample 107 has NaN or infinity"):
        quantize.run(model, samples[0], out, **{**defaults("quantize"), **BACKEND})


@pytest.mark.parametrize("task", ["classification"])
@pytest.mark.parametrize("second", ["int32"])
def test_integers_reach_the_model_as_integers(samples):
    images, other = fx.example_batch(samples[0])
    assert (str(images.dtype), str(other.dtype)) == ("torch.float32", "torch.int32")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("second", ["int32", "float32"])
def test_explain_scores_by_the_task(model, samples, task, tmp_path, out, monkeypatch):
    """The judged output alone: for regression that is the second one, whose layer then counts and the other's not."""
    monkeypatch.setattr(store, "parameters", lambda _: {**defaults("quantize"), **BACKEND})
    explain.run(tmp_path / "torch.tested", model, samples[0], out, images=100)
    explanation = json.loads((out / "layers.json").read_text())
    layers = {layer["name"]: layer for layer in explanation["layers"]}
    assert explanation["float_accuracy"] == pytest.approx(1.0, abs=1e-6)
    assert 0.5 < explanation["quantized_accuracy"] <= 1.0
    assert 0 < explanation["float_kl"] < 0.5
    names = {"classification": ("accuracy", "KL divergence"), "regression": ("R²", "noise")}
    assert (explanation["score"], explanation["distance"]) == names.get(task, ("agreement", "noise"))
    heads = {node.output[0]: node.name for node in onnx.load(model / models.FILE).graph.node}
    values = layers[heads["values"]]
    if task == "regression":
        assert explanation["quantized_accuracy"] < 1.0  # R², of values that all are a little off
        assert values["only_activations"] < 1.0
        assert values["kept_kl"] < explanation["float_kl"]
    else:
        assert values["only_activations"] == pytest.approx(1.0, abs=1e-6)
        assert values["only_weights"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("second", ["int64", "float32"])
def test_accuracy_aware_quantization_holds_the_score_of_the_task(model, samples, out):
    settings = {**defaults("accuracy_aware"), **BACKEND, "max_drop_pp": 0.001, "trials": 6}
    accuracy_aware.run(model, *samples, out, **settings)
    excluded = json.loads((out / "excluded.json").read_text())
    assert excluded["float_accuracy"] == pytest.approx(1.0, abs=1e-6)
    scores = {tuple(trial["excluded"]): trial["accuracy"] for trial in excluded["trials"]}
    assert scores[()] < excluded["float_accuracy"]
    assert excluded["layers"]
    assert scores[tuple(excluded["layers"])] > scores[()]
    assert len(formats.load(out, 1)(take(samples[1], slice(3)))) == 2
