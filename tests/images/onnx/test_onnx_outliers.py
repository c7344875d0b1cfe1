"""Outliers are found by the model's tensors, and left out of calibration."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from images.onnx.quantize.outliers import drop_outliers, measure_magnitudes, score_samples, select_ordinary
from shared.errors import CrossquantError
from tests.images.sample_folders import save_samples


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Squares what is above 100: an image whose pixels are ordinary but for one may have an extraordinary tensor."""
    limit = helper.make_tensor("limit", TensorProto.FLOAT, [], [100.0])
    nodes = [
        helper.make_node("Sub", ["image", "limit"], ["above"], "Sub"),
        helper.make_node("Relu", ["above"], ["cut"], "Relu"),
        helper.make_node("Mul", ["cut", "cut"], ["answer"], "Mul"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, 2, 1]) for name in ("image", "answer")]
    graph = helper.make_graph(nodes, "squares", ends[:1], ends[1:], [limit])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_image_with_the_greatest_tensor_goes_first(model: Path, tmp_path: Path) -> None:
    images = np.full((30, 2, 2, 1), 110, np.uint8)
    images[17, 0, 0] = 200
    magnitudes = measure_magnitudes(model, save_samples(tmp_path, images), tmp_path)
    assert magnitudes.shape == (30, 3)
    assert magnitudes[17].max() == 10_000
    assert magnitudes[0].max() == 100
    result = score_samples(magnitudes)
    assert result[17] == 100
    assert sorted(set(range(30)) - set(select_ordinary(result, 10.0))) == [17]


def test_the_limit_itself_is_ordinary() -> None:
    assert select_ordinary(np.array([3.0, 10.0, 10.5, 1.0]), 10.0).tolist() == [0, 1, 3]


def test_a_tensor_that_is_zero_for_most_images_says_nothing() -> None:
    magnitudes = np.array([[0.0, 1.0], [0.0, 1.0], [9.0, 2.0]], np.float32)
    assert score_samples(magnitudes).tolist() == [1.0, 1.0, 2.0]


def test_an_empty_set_is_an_error(model: Path, tmp_path: Path) -> None:
    with pytest.raises(CrossquantError, match=r"raise calibration\.images"):
        measure_magnitudes(model, save_samples(tmp_path, np.zeros((0, 2, 2, 1), np.uint8)), tmp_path)


def test_what_is_left_out_is_not_in_the_set_that_calibrates(model: Path, tmp_path: Path) -> None:
    images = np.full((30, 2, 2, 1), 110, np.float32)
    images[17, 0, 0] = 200
    source = save_samples(tmp_path, images)
    assert drop_outliers(model, source, 0.0, tmp_path) == source
    images = np.load(drop_outliers(model, source, 10.0, tmp_path) / "input_0.npy")
    assert len(images) == 29
    assert images.max() == 110


def test_a_limit_that_leaves_nothing_is_an_error(model: Path, tmp_path: Path) -> None:
    source = save_samples(tmp_path, np.full((3, 2, 2, 1), 110, np.float32))
    with pytest.raises(CrossquantError, match="raise it, 10 is usual"):
        drop_outliers(model, source, 0.5, tmp_path)


def test_tensors_that_do_not_begin_with_the_samples_are_not_looked_at(tmp_path: Path) -> None:
    """One table for all samples, and a series with the steps on its first axis, in which samples would be mixed up."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [3, 2], [1.0, 2, 3, 4, 5, 6])
    nodes = [
        helper.make_node("Relu", ["table"], ["for_all"], "Relu"),
        helper.make_node("Transpose", ["series"], ["steps_first"], "Transpose", perm=[1, 0, 2]),
        helper.make_node("ReduceMax", ["steps_first"], ["greatest"], "ReduceMax", axes=[0], keepdims=0),
        helper.make_node("MatMul", ["greatest", "for_all"], ["answer"], "MatMul"),
    ]
    takes = helper.make_tensor_value_info("series", TensorProto.FLOAT, ["n", 4, 3])
    gives = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "series", [takes], [gives], [table])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    series = np.ones((30, 4, 3), np.float32)
    series[17, 2] = 50
    magnitudes = measure_magnitudes(path, save_samples(tmp_path, series), tmp_path)
    assert magnitudes.shape == (30, 2)
    assert (magnitudes.max(axis=1).argmax(), np.median(magnitudes[:, 0])) == (17, 12)
