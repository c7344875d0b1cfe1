"""Folding: fewer operators, the same answers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from images.onnx import fold_batchnorm
from shared.artifacts import notes
from shared.data import examples
from shared.data.examples import Example
from shared.errors import CrossquantError
from tests.images import models
from tests.images.onnx.quantizing import answers


def operators(folder: Path) -> list[str]:
    return [node.op_type for node in onnx.load(folder / models.FILE).graph.node]


def reference(folder: Path, images: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(str(folder / models.FILE)).run(None, {"image": images})[0]


def test_batch_normalization_goes_into_the_convolutions(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "exported")
    fold_batchnorm.run(source, out, enabled=True)
    remaining = ["Mul", "Transpose", "Conv", "Relu", "Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    assert operators(out) == remaining


def test_a_computed_reshape_target_becomes_constant(tmp_path: Path, out: Path):
    source = models.computed_flatten(tmp_path / "exported")
    fold_batchnorm.run(source, out, enabled=True)
    remaining = ["Mul", "Transpose", "Conv", "Relu", "MaxPool", "Transpose", "Reshape", "Gemm", "Softmax"]
    assert operators(out) == remaining
    graph = onnx.load(out / models.FILE).graph
    [target] = [node.input[1] for node in graph.node if node.op_type == "Reshape"]
    [values] = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == target]
    assert values.tolist() == [-1, 64]


@pytest.mark.parametrize("build", [models.convolutional, models.computed_flatten], ids=lambda build: build.__name__)
@pytest.mark.parametrize("count", [1, 3])
def test_the_folded_file_gives_the_same_answers(build: Callable[[Path], Path], count: int, tmp_path: Path, out: Path):
    source = build(tmp_path / "exported")
    fold_batchnorm.run(source, out, enabled=True)
    images = models.images(count)
    expected = reference(source, images)
    assert len(np.unique(expected.round(3))) > 3  # not all 0 and 1: a mistake would show
    np.testing.assert_allclose(answers(out, images), expected, rtol=0, atol=1e-5)


def test_without_folding_the_bytes_stay(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "exported")
    fold_batchnorm.run(source, out, enabled=False)
    assert (out / models.FILE).read_bytes() == (source / models.FILE).read_bytes()


def read_notes(folder: Path) -> list[str]:
    path = folder / notes.FILE
    return json.loads(path.read_text()) if path.exists() else []


def test_a_folded_graph_with_other_answers_is_not_used(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    source = models.convolutional(tmp_path / "exported")

    def fold_wrongly(path: Path, target: Path, scratch: Path) -> list[str]:
        notes = fold_model(path, target, scratch)
        graph = onnx.load(target)
        weight = next(tensor for tensor in graph.graph.initializer if len(tensor.dims) == 4)
        weight.CopyFrom(onnx.numpy_helper.from_array(1.1 * onnx.numpy_helper.to_array(weight), weight.name))
        onnx.save(graph, target)
        return notes

    fold_model = fold_batchnorm.fold_model
    monkeypatch.setattr(fold_batchnorm, "fold_model", fold_wrongly)
    fold_batchnorm.run(source, out, enabled=True)
    assert (out / models.FILE).read_bytes() == (source / models.FILE).read_bytes()
    [note] = read_notes(out)
    assert note.startswith("the folded graph gives other answers (output 0 for 3 samples is off by ")
    assert note.endswith("): it is used as it was exported")


def test_samples_of_the_data_set_are_answered_and_kept(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "exported")
    images = models.images(10)
    original = Example((images,), (reference(source, images),), sizes=(3, 2, 3, 2))
    examples.write(original, source)
    fold_batchnorm.run(source, out, enabled=True)
    kept = examples.read(out)
    assert kept is not None
    np.testing.assert_array_equal(kept.inputs[0], images)
    np.testing.assert_allclose(kept.outputs[0], original.outputs[0], atol=1e-5)
    assert kept.sizes == (3, 2, 3, 2)
    assert read_notes(out) == []


def test_a_file_that_answers_otherwise_than_the_model_has_a_note(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "exported")
    images = models.images(5)
    examples.write(Example((images,), (reference(source, images) * 1.01,)), source)
    fold_batchnorm.run(source, out, enabled=True)
    [note] = read_notes(out)
    assert note.startswith(
        "ONNX Runtime gives other answers to test samples than the model itself: output 0 for 3 samples"
    )


def test_an_input_that_folding_loses_is_an_error(tmp_path: Path):
    before, after = models.convolutional(tmp_path / "before"), models.convolutional(tmp_path / "after")
    model = onnx.load(after / models.FILE)
    model.graph.input[0].name = model.graph.node[0].input[0] = "other"
    onnx.save(model, after / models.FILE)
    with pytest.raises(CrossquantError) as caught:
        fold_batchnorm.check_inputs(before / models.FILE, after / models.FILE)
    assert str(caught.value) == "folding changed the model's inputs from ['image'] to ['other']"


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("damage", ["empty", "noise", "cut short"])
def test_a_broken_file_gives_one_clear_line(damage: str, enabled: bool, tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "exported")
    content = (source / models.FILE).read_bytes()
    (source / models.FILE).write_bytes({"empty": b"", "noise": b"no model", "cut short": content[:1000]}[damage])
    with pytest.raises(CrossquantError) as caught:
        fold_batchnorm.run(source, out, enabled=enabled)
    assert models.FILE in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
