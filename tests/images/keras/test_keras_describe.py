"""The stage behind `inspect`: the contents of a model, and why tf2onnx can't convert one."""

from pathlib import Path

import pytest

from images.keras import describe
from shared import compatibility
from shared.compatibility import FrameworkSupport
from shared.errors import CrossquantError
from tests.images.keras import keras_models as models


def test_what_a_model_is(tmp_path: Path, out: Path):
    source = models.save(models.residual, tmp_path / "model")
    describe.run(source, out, trust=False, opset=17)
    support = compatibility.load(out)
    assert support.signature is not None
    assert [(item.name, item.shape) for item in support.signature.inputs] == [("image", (8, 8, 3))]
    assert support.parameters == 4 * (27 + 1) + 4 * (36 + 1) + 4 * (4 + 1) + 4 * 10 + 10
    assert support.layers == {"Add": 1, "Conv2D": 3, "Dense": 1, "GlobalAveragePooling2D": 1, "Rescaling": 1}
    assert support.operators["Conv"] == 3
    assert support.support == (FrameworkSupport("tf2onnx", all=True),)
    assert (out / "model.onnx").exists()


def test_an_operator_that_tf2onnx_can_not_carry(tmp_path: Path, out: Path):
    source = models.save(models.bessel, tmp_path / "model")
    describe.run(source, out, trust=False, opset=17)
    (step,) = compatibility.load(out).support
    assert not step.all
    assert "can't convert BesselI0e of layer 'bessel'" in step.reason
    assert not (out / "model.onnx").exists()


def test_open_sizes_that_keras_can_not_trace_are_guessed(tmp_path: Path, out: Path):
    source = models.save(models.upsampled, tmp_path / "model")
    describe.run(source, out, trust=False, opset=17)
    assert compatibility.load(out).notes == (describe.GUESSED.format("64 x 64 x 3"),)
    assert (out / "model.onnx").exists()


def test_a_file_that_is_no_model(tmp_path: Path, out: Path):
    (tmp_path / "model.keras").write_text("no model")
    with pytest.raises(CrossquantError):
        describe.run(tmp_path, out, trust=False, opset=17)
