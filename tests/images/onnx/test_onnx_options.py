"""The options of a static recipe, one by one, and the values that each refuses."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from images.onnx import quantize
from images.onnx.quantize.coverage import count_quantized
from shared.errors import CrossquantError, Unsupported
from tests.images import models
from tests.images.onnx.quantizing import RECIPES, answers, kinds, run, stored


@pytest.mark.parametrize("activation", ["int16", "uint16"])
def test_sixteen_bits_are_nearer_to_float_than_eight(activation: str, folded: Path, calibration: Path, tmp_path: Path):
    images, errors = models.images(20), {}
    expected = answers(folded, images)
    for name in (activation, activation.replace("16", "8")):
        (tmp_path / name).mkdir()
        run(folded, calibration, tmp_path / name, **{**RECIPES["u8s8"], "activation": name})
        errors[name] = np.abs(answers(tmp_path / name, images) - expected).max()
    assert errors[activation] < 0.75 * errors[activation.replace("16", "8")]


def test_types_that_do_not_go_together_are_unsupported_in_onnx_runtimes_words(
    folded: Path, calibration: Path, out: Path
):
    with pytest.raises(Unsupported, match=r"^ONNXRuntime quantization doesn't support data format:.*QUInt8$"):
        run(folded, calibration, out, **{**RECIPES["int8"], "weight": "uint8"})


def test_a_file_that_onnx_runtime_can_not_run_is_unsupported(folded: Path, calibration: Path, out: Path, monkeypatch):
    """The quantizer writes a file that no kernel supports: here, one with an operator that doesn't exist."""

    def broken(source: Path, *_: object) -> None:
        model = onnx.load(source)
        model.graph.node[0].op_type = "Wonder"
        onnx.save(model, out / models.FILE)

    monkeypatch.setattr(quantize, "write_quantized", broken)
    with pytest.raises(Unsupported, match=r"^ONNX Runtime can't load model.onnx: .*Wonder"):
        run(folded, calibration, out, **RECIPES["int8"])


def test_excluded_layers_and_op_types_stay_in_float(folded: Path, calibration: Path, out: Path):
    first, *_ = [node.name for node in onnx.load(folded / models.FILE).graph.node if node.op_type == "Conv"]
    model = run(folded, calibration, out, **RECIPES["u8s8"], exclude=[first], exclude_types=["Softmax"])
    assert count_quantized(model) == (2, 3)
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
        ("exclude_types", "Lstm", r"^exclude_types: this model has no op type 'Lstm'; known are Conv, Flatten, Gemm, "),
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
    np.save(calibration / "input_0.npy", images)
    for calibrate in ("minmax", "entropy", "percentile", "moving_average"):
        run(folded, calibration, out, **{**RECIPES["u8s8"], "calibrate": calibrate})
        assert np.abs(answers(out, images) - answers(folded, images)).max() < 0.05
