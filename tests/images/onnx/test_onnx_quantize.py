"""ONNX Runtime's quantizer: what the recipe asks for is what the file holds."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from images.onnx import fold, quantize
from images.onnx.counting import count
from images.onnx.session import load
from shared.errors import CrossquantError, Unsupported
from tests.images import models

RECIPES = {
    "int8": {"activation": "int8", "weight": "int8", "per_channel": False, "calibrate": "minmax"},
    "uint8": {"activation": "uint8", "weight": "uint8", "per_channel": False, "calibrate": "minmax"},
    "u8s8": {"activation": "uint8", "weight": "int8", "per_channel": True, "calibrate": "minmax"},
}
DEFAULTS = {
    "symmetric_activation": False,
    "symmetric_weight": False,
    "reduce_range": False,
    "percentile": 99.99,
    "exclude": [],
    "exclude_types": [],
    "preprocess": True,
}
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def run(model: Path, calibration: Path, out: Path, **recipe: object) -> onnx.ModelProto:
    """The stage, with the defaults of stages.toml; the exported file is beside the folded one."""
    quantize.run(model, model.parent / "exported", calibration, out, **{**DEFAULTS, **recipe})
    return onnx.load(out / models.FILE)


@pytest.fixture
def folded(tmp_path: Path) -> Path:
    folder = tmp_path / "folded"
    folder.mkdir()
    fold.run(models.convolutional(tmp_path / "exported"), folder, enabled=True)
    return folder


def dequantized(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
    """The operators that compute, and by name the initializers."""
    computing = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    return computing, {tensor.name: tensor for tensor in model.graph.initializer}


def stored(model: onnx.ModelProto, position: int) -> list[tuple[onnx.TensorProto | None, onnx.TensorProto]]:
    """What each operator's operand `position` is dequantized from: (values or None, scale, zero point)."""
    computing, constants = dequantized(model)
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    sources = [makers[node.input[position]] for node in computing]
    return [tuple(constants.get(name) for name in source.input) for source in sources]


@pytest.mark.parametrize("name", RECIPES)
def test_all_operators_are_quantized_with_the_types_asked_for(name: str, folded: Path, calibration: Path, out: Path):
    recipe = RECIPES[name]
    run(folded, calibration, out, **recipe)
    model = onnx.load(out / models.FILE)
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 3, "operators": 3}
    assert count(model) == (3, 3)
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
    expected, found = load(folded, 1)(images), load(out, 1)(images)
    assert 0 < np.abs(found - expected).max() < 0.05
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("name", RECIPES)
def test_quantizing_twice_gives_the_same_bytes(name: str, folded: Path, calibration: Path, tmp_path: Path):
    made = []
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        run(folded, calibration, tmp_path / turn, **RECIPES[name])
        made.append((tmp_path / turn / models.FILE).read_bytes())
    assert made[0] == made[1]


def test_the_ranges_come_from_all_calibration_images(folded: Path, calibration: Path, out: Path):
    """The brightest pixel is in the last image: a reader that drops a short batch gives another scale."""
    images = np.load(calibration / "images.npy") / 2
    images[-1, 0, 0, 0] = 510
    np.save(calibration / "images.npy", images.astype(np.float32))
    run(folded, calibration, out, **RECIPES["uint8"])
    [scale] = [tensor for tensor in onnx.load(out / models.FILE).graph.initializer if tensor.name == "image_scale"]
    assert float(onnx.numpy_helper.to_array(scale)) == pytest.approx(510 / 255)


def test_a_model_without_anything_to_quantize_is_unsupported(tmp_path: Path, calibration: Path, out: Path):
    graph = models.Graph()
    graph.add("Mul", graph.constant(1, 8, 8, 3))
    graph.add("ReduceMean", axes=[1, 2], keepdims=0)
    with pytest.raises(Unsupported) as caught:
        run(graph.save(tmp_path / "model", ("batch", 3)), calibration, out, **RECIPES["int8"])
    found = "ONNX Runtime quantized 0 of 0 convolutions and linear layers, without an error"
    assert str(caught.value) == found
    assert not (out / "quantized.json").exists()


def test_the_count_of_a_float_model_is_none_of_all(folded: Path):
    assert count(onnx.load(folded / models.FILE)) == (0, 3)


@pytest.mark.parametrize("position", [0, 1])
def test_an_operator_with_one_float_operand_does_not_count(position: int, folded: Path, calibration: Path, out: Path):
    run(folded, calibration, out, **RECIPES["int8"])
    model = onnx.load(out / models.FILE)
    computing, _ = dequantized(model)
    computing[0].input[position] = "image"
    assert count(model) == (2, 3)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node if "Linear" not in node.op_type]


@pytest.mark.parametrize("activation", ["int16", "uint16"])
def test_sixteen_bits_are_nearer_to_float_than_eight(activation: str, folded: Path, calibration: Path, tmp_path: Path):
    images, errors = models.images(20), {}
    expected = load(folded, 1)(images)
    for name in (activation, activation.replace("16", "8")):
        (tmp_path / name).mkdir()
        run(folded, calibration, tmp_path / name, **{**RECIPES["u8s8"], "activation": name})
        errors[name] = np.abs(load(tmp_path / name, 1)(images) - expected).max()
    assert errors[activation] < 0.75 * errors[activation.replace("16", "8")]


def test_types_that_do_not_go_together_are_unsupported_in_onnx_runtimes_words(
    folded: Path, calibration: Path, out: Path
):
    with pytest.raises(Unsupported, match=r"^ONNXRuntime quantization doesn't support data format:.*QUInt8$"):
        run(folded, calibration, out, **{**RECIPES["int8"], "weight": "uint8"})


def test_a_file_that_onnx_runtime_can_not_run_is_unsupported(folded: Path, calibration: Path, out: Path, monkeypatch):
    """A quantizer that writes what no kernel takes: here, an operator that there isn't."""

    def broken(source: Path, *_: object) -> None:
        model = onnx.load(source)
        model.graph.node[0].op_type = "Wonder"
        onnx.save(model, out / models.FILE)

    monkeypatch.setattr(quantize, "write", broken)
    with pytest.raises(Unsupported, match=r"^ONNX Runtime can't load model.onnx: .*Wonder"):
        run(folded, calibration, out, **RECIPES["int8"])


def test_excluded_layers_and_op_types_stay_in_float(folded: Path, calibration: Path, out: Path):
    first, *_ = [node.name for node in onnx.load(folded / models.FILE).graph.node if node.op_type == "Conv"]
    model = run(folded, calibration, out, **RECIPES["u8s8"], exclude=[first], exclude_types=["Softmax"])
    assert count(model) == (2, 3)
    constants = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    [convolution] = [node for node in model.graph.node if node.name == first]
    assert constants[convolution.input[1]] == TensorProto.FLOAT
    assert model.graph.node[-1].op_type == "Softmax"  # its output isn't quantized either


@pytest.mark.parametrize(
    ("option", "name", "problem"),
    [
        ("exclude", "Conv_", r"^exclude: this model has no layer 'Conv_'; did you mean Conv_\d, Conv_\d\?$"),
        ("exclude", "zzz", r"^exclude: this model has no layer 'zzz'; known are \S+, .*Softmax_\d+$"),
        ("exclude_types", "conv", r"^exclude_types: this model has no op type 'conv'; did you mean Conv\?$"),
        ("exclude_types", "LSTM", r"^exclude_types: this model has no op type 'LSTM'; known are Conv, Flatten, Gemm, "),
    ],
)
def test_a_layer_or_op_type_that_is_not_there_is_named(
    option: str, name: str, problem: str, folded: Path, calibration: Path, out: Path
):
    with pytest.raises(CrossquantError, match=problem):
        run(folded, calibration, out, **RECIPES["u8s8"], **{option: [name]})


@pytest.mark.parametrize("preprocess", [True, False])
def test_without_preprocessing_it_starts_from_the_exported_file(
    preprocess: bool, folded: Path, calibration: Path, out: Path
):
    before = {path: path.stat().st_mtime_ns for path in folded.parent.rglob("*") if path.is_file()}
    model = run(folded, calibration, out, **RECIPES["u8s8"], preprocess=preprocess)
    assert kinds(model).count("Mul") == (1 if preprocess else 3)
    after = {path: path.stat().st_mtime_ns for path in folded.parent.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "quantized.json"]  # nothing else is left


@pytest.mark.parametrize(("symmetric", "type_", "zero"), [("activation", "int8", 0), ("weight", "uint8", 127)])
def test_symmetric_ranges_have_their_zero_point_in_the_middle(
    symmetric: str, type_: str, zero: int, folded: Path, calibration: Path, out: Path
):
    recipe = {"activation": type_, "weight": type_, "per_channel": False, "calibrate": "minmax"}
    model = run(folded, calibration, out, **recipe, **{f"symmetric_{symmetric}": True})
    points = [onnx.numpy_helper.to_array(point) for _, _, point in stored(model, 1 if symmetric == "weight" else 0)]
    assert [int(point) for point in points] in ([zero] * 3, [zero + 1] * 3)


def test_reduce_range_gives_weights_seven_bits(folded: Path, calibration: Path, out: Path):
    model = run(folded, calibration, out, **RECIPES["u8s8"], reduce_range=True)
    greatest = [np.abs(onnx.numpy_helper.to_array(values).astype(int)).max() for values, _, _ in stored(model, 1)]
    assert greatest == [64, 64, 64]


def test_calibration_by_distribution_says_why_it_fails(folded: Path, calibration: Path, out: Path):
    problem = (
        r"^ONNX Runtime drops Relu_\d+ and lets values below 0 pass: "
        r"calibration by distribution gives its output a range from -[\d.]+$"
    )
    with pytest.raises(Unsupported, match=problem):
        run(folded, calibration, out, **{**RECIPES["u8s8"], "calibrate": "distribution"})


def test_a_lower_percentile_cuts_more(folded: Path, calibration: Path, tmp_path: Path):
    scales = []
    for percentile in (100.0, 99.0, 90.0):
        target = tmp_path / str(percentile)
        target.mkdir()
        model = run(
            folded, calibration, target, **{**RECIPES["u8s8"], "calibrate": "percentile"}, percentile=percentile
        )
        [scale] = [tensor for tensor in model.graph.initializer if tensor.name == "image_scale"]
        scales.append(float(onnx.numpy_helper.to_array(scale)))
    assert scales[0] > scales[1] > scales[2] > 0.8


def test_a_channel_that_is_constant_is_quantized(folded: Path, calibration: Path, out: Path):
    model = onnx.load(folded / models.FILE)
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    for tensor in model.graph.initializer:
        if tensor.name in first.input[1:3]:
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[2] = 0.0
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, folded / models.FILE)
    images = np.full((20, *models.SHAPE), 7.0, np.float32)
    np.save(calibration / "images.npy", images)
    for calibrate in ("minmax", "entropy", "percentile", "moving_average"):
        run(folded, calibration, out, **{**RECIPES["u8s8"], "calibrate": calibrate})
        assert np.abs(load(out, 1)(images) - load(folded, 1)(images)).max() < 0.05
