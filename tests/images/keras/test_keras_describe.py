"""The stage behind `inspect`: what a model consists of, and why tf2onnx can't convert one."""

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
    inspection = compatibility.load(out)
    assert inspection.signature is not None
    assert [(item.name, item.shape) for item in inspection.signature.inputs] == [("image", (8, 8, 3))]
    assert inspection.parameters == 4 * (27 + 1) + 4 * (36 + 1) + 4 * (4 + 1) + 4 * 10 + 10
    assert inspection.layers == {"Add": 1, "Conv2D": 3, "Dense": 1, "GlobalAveragePooling2D": 1, "Rescaling": 1}
    assert inspection.operators["Conv"] == 3
    assert inspection.legs == (FrameworkSupport("tf2onnx", all=True),)
    assert (out / "model.onnx").exists()


def test_an_operator_that_tf2onnx_can_not_carry(tmp_path: Path, out: Path):
    source = models.save(models.bessel, tmp_path / "model")
    describe.run(source, out, trust=False, opset=17)
    (leg,) = compatibility.load(out).legs
    assert not leg.all
    assert "can't convert BesselI0e of layer 'bessel'" in leg.reason
    assert not (out / "model.onnx").exists()


def test_a_file_that_is_no_model(tmp_path: Path, out: Path):
    (tmp_path / "model.keras").write_text("no model")
    with pytest.raises(CrossquantError):
        describe.run(tmp_path, out, trust=False, opset=17)
