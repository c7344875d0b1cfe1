"""A model too large for an ONNX file is refused before tf2onnx spends a minute and all memory on it."""

from pathlib import Path

import keras
import pytest
from keras import layers

from images.keras import describe, export
from shared import onnx_size
from shared.compatibility import load
from shared.errors import Unsupported
from tests.images.keras import keras_models as models

REFUSED = "no ONNX file can be made of this model: it has 0.00 GB, and an ONNX file holds 0 GB"


def build() -> keras.Model:
    """7,000 bytes of weights, in 16 and in 32 bits, trained and not."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(models.SHAPE, name="image")
    x = layers.Dense(500, use_bias=False, dtype="float16")(layers.GlobalAveragePooling2D()(inputs))  # 3,000
    x = layers.BatchNormalization(scale=False, center=False, dtype="float32")(x)  # 4,000
    return keras.Model(inputs, x)


@pytest.fixture(params=["model.keras", "saved_model"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "keras.fp32"
    folder.mkdir()
    if request.param == "saved_model":
        build().export(folder / "model.saved", verbose=False)
    else:
        build().save(folder / "model.keras")
    return folder


def test_the_weights_of_all_types_are_counted(model: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    dataset = models.write_samples(build(), tmp_path / "dataset")
    monkeypatch.setattr(onnx_size, "LARGEST", 7000)
    export.run(model, dataset, out, opset=17)
    for path in out.iterdir():
        path.unlink()
    monkeypatch.setattr(onnx_size, "LARGEST", 6999)
    with pytest.raises(Unsupported, match=f"^{REFUSED}"):
        export.run(model, dataset, out, opset=17)
    assert list(out.iterdir()) == []


def test_inspection_tells_it(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    build().save(tmp_path / "my.keras")
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "my.keras").rename(source / "my.keras")
    monkeypatch.setattr(onnx_size, "LARGEST", 6999)
    describe.run(source, out, trust=False, opset=17)
    [support] = load(out).support
    assert support.reason.startswith(REFUSED)
