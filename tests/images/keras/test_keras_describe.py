"""What `inspect` learns in the keras image, and what it says of a model that goes no further."""

from pathlib import Path

import pytest

from images.keras import describe
from shared import compatibility
from shared.compatibility import Leg
from shared.errors import CrossquantError
from tests.images.keras import keras_models as models


def test_what_a_model_is(tmp_path: Path, out: Path):
    source = models.saved(models.residual, tmp_path / "model")
    describe.run(source, out, trust=False, opset=17)
    found = compatibility.load(out)
    assert found.signature is not None
    assert [(item.name, item.shape) for item in found.signature.inputs] == [("image", (8, 8, 3))]
    assert found.parameters == 4 * (27 + 1) + 4 * (36 + 1) + 4 * (4 + 1) + 4 * 10 + 10
    assert found.layers == {"Add": 1, "Conv2D": 3, "Dense": 1, "GlobalAveragePooling2D": 1, "Rescaling": 1}
    assert found.operators["Conv"] == 3
    assert found.legs == (Leg("tf2onnx", all=True),)
    assert (out / "model.onnx").exists()


def test_an_operator_that_tf2onnx_can_not_carry(tmp_path: Path, out: Path):
    source = models.saved(models.bessel, tmp_path / "model")
    describe.run(source, out, trust=False, opset=17)
    (leg,) = compatibility.load(out).legs
    assert not leg.all
    assert "can't carry BesselI0e of layer 'bessel'" in leg.reason
    assert not (out / "model.onnx").exists()


def test_a_file_that_is_no_model(tmp_path: Path, out: Path):
    (tmp_path / "model.keras").write_text("no model")
    with pytest.raises(CrossquantError):
        describe.run(tmp_path, out, trust=False, opset=17)
