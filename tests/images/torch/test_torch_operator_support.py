"""Which operators PyTorch supports, found on random samples."""

from pathlib import Path

import onnx
import pytest

from images.torch import operator_support
from shared import compatibility
from shared.compatibility import Compatibility
from shared.data.signature import Signature, Tensor
from tests.images import models


@pytest.fixture
def described() -> Compatibility:
    return Compatibility(signature=Signature((Tensor("image", "float32", models.SHAPE),), ()))


def test_every_conversion_step_is_tried(tmp_path: Path, out: Path, described: Compatibility):
    source = models.convolutional(tmp_path / "folded")
    compatibility.write(described, source)
    operator_support.run(source, out)
    converted, fx, pt2e = compatibility.load(out).support
    assert (converted.name, converted.all, converted.reason) == ("onnx2torch", True, "")
    assert (fx.carried["Conv"], fx.carried["Gemm"], fx.reason) == (2, 1, "")
    assert (pt2e.carried["Conv"], pt2e.carried["Gemm"], pt2e.reason) == (2, 1, "")


def test_an_operator_without_converter_is_named(tmp_path: Path, out: Path, described: Compatibility):
    source = models.convolutional(tmp_path / "folded")
    model = onnx.load(source / "model.onnx")
    model.graph.node[-1].op_type = "Hardmax"
    onnx.save(model, source / "model.onnx")
    compatibility.write(described, source)
    operator_support.run(source, out)
    (step,) = compatibility.load(out).support
    total = len(model.graph.node)
    assert not step.all
    assert sum(step.carried.values()) == total - 1
    assert "Hardmax" in step.reason


def test_a_model_of_a_fixed_batch_is_converted_and_not_quantized(tmp_path: Path, out: Path, described: Compatibility):
    source = models.by_place(tmp_path / "folded")
    compatibility.write(described, source)
    operator_support.run(source, out)
    converted, *quantized = compatibility.load(out).support
    assert converted.all
    assert len(quantized) == 2
    for step in quantized:
        assert step.reason.startswith("the model takes batches of 4 alone, which can't be calibrated: ")


def test_a_model_that_did_not_come_so_far(tmp_path: Path, out: Path):
    compatibility.write(Compatibility(), tmp_path)
    operator_support.run(tmp_path, out)
    assert compatibility.load(out) == Compatibility()
