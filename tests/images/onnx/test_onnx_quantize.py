"""ONNX Runtime's static quantizer: the file has what the recipe asks for."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from images.onnx.quantize.coverage import count_quantized
from shared.errors import Unsupported
from tests.images import models
from tests.images.onnx.quantizing import RECIPES, TYPES, answers, dequantized, run, stored


@pytest.mark.parametrize("name", RECIPES)
def test_all_operators_are_quantized_with_the_types_asked_for(name: str, folded: Path, calibration: Path, out: Path):
    recipe = RECIPES[name]
    run(folded, calibration, out, **recipe)
    model = onnx.load(out / models.FILE)
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 3, "operators": 3}
    assert count_quantized(model) == (3, 3)
    weights = stored(model, 1)
    assert [values.data_type for values, _, _ in weights] == [TYPES[recipe["weight"]]] * 3
    assert [tensor.data_type for _, _, tensor in stored(model, 0)] == [TYPES[recipe["activation"]]] * 3
    scales = [list(scale.dims) for _, scale, _ in weights]
    assert scales == ([[8], [8], [10]] if recipe["per_channel"] else [[], [], []])


@pytest.mark.parametrize("calibrate", ["minmax", "entropy", "percentile"])
@pytest.mark.parametrize("name", RECIPES)
def test_the_quantized_file_answers_nearly_as_the_float_one(
    name: str, calibrate: str, folded: Path, calibration: Path, out: Path
):
    run(folded, calibration, out, **{**RECIPES[name], "calibrate": calibrate})
    images = models.images(20)
    expected, actual = answers(folded, images), answers(out, images)
    assert 0 < np.abs(actual - expected).max() < 0.05
    assert (actual.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("name", RECIPES)
def test_quantizing_twice_gives_the_same_bytes(name: str, folded: Path, calibration: Path, tmp_path: Path):
    files = []
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        run(folded, calibration, tmp_path / turn, **RECIPES[name])
        files.append((tmp_path / turn / models.FILE).read_bytes())
    assert files[0] == files[1]


def test_the_ranges_come_from_all_calibration_images(folded: Path, calibration: Path, out: Path):
    """The brightest pixel is in the last image: a reader that drops a short batch gives another scale."""
    images = np.load(calibration / "input_0.npy") / 2
    images[-1, 0, 0, 0] = 510
    np.save(calibration / "input_0.npy", images.astype(np.float32))
    run(folded, calibration, out, **RECIPES["uint8"])
    [scale] = [tensor for tensor in onnx.load(out / models.FILE).graph.initializer if tensor.name == "image_scale"]
    assert float(onnx.numpy_helper.to_array(scale)) == pytest.approx(510 / 255)


def test_a_model_without_anything_to_quantize_is_unsupported(tmp_path: Path, calibration: Path, out: Path):
    graph = models.Graph()
    graph.add("Mul", graph.constant(1, 8, 8, 3))
    graph.add("ReduceMean", axes=[1, 2], keepdims=0)
    with pytest.raises(Unsupported) as caught:
        run(graph.save(tmp_path / "model", ("batch", 3)), calibration, out, **RECIPES["int8"])
    message = "ONNX Runtime quantized 0 of 0 convolutions and linear layers, without an error"
    assert str(caught.value) == message
    assert not (out / "quantized.json").exists()


def test_the_count_of_a_float_model_is_none_of_all(folded: Path):
    assert count_quantized(onnx.load(folded / models.FILE)) == (0, 3)


@pytest.mark.parametrize("position", [0, 1])
def test_an_operator_with_one_float_operand_does_not_count(position: int, folded: Path, calibration: Path, out: Path):
    run(folded, calibration, out, **RECIPES["int8"])
    model = onnx.load(out / models.FILE)
    computing, _ = dequantized(model)
    computing[0].input[position] = "image"
    assert count_quantized(model) == (2, 3)
