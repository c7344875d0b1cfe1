"""Models of 16-bit floats compute in float32, in every form of file; what is quantized already is said to be."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from images.keras import export, load
from images.keras.model import precision
from images.keras.model.runtime import open_model
from shared.artifacts import notes
from shared.errors import Unsupported
from shared.quantization import already
from tests.images.keras import keras2_files
from tests.images.keras import keras_models as models


def convolution(policy: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(models.SHAPE)
    x = layers.Conv2D(4, 3, activation="relu", dtype=policy)(layers.Rescaling(1 / 255, dtype=policy)(inputs))
    x = layers.GlobalAveragePooling2D(dtype=policy)(x)
    return keras.Model(inputs, layers.Dense(models.CLASSES, activation="softmax", dtype="float32")(x))


def save_keras(model: keras.Model, source: Path) -> None:
    model.save(source / "model.keras")


def save_hdf5(model: keras.Model, source: Path) -> None:
    model.save(source / "model.h5")


def save_keras2(model: keras.Model, source: Path) -> None:
    """With policies as Keras 2 writes them."""

    def change(value: object) -> object:
        if isinstance(value, dict):
            changed = {key: change(item) for key, item in value.items()}
            if str(changed.get("dtype", "")).startswith("mixed_"):
                changed["dtype"] = {"class_name": "Policy", "config": {"name": changed["dtype"]}}
            return changed
        return [change(item) for item in value] if isinstance(value, list) else value

    keras2_files.edit(keras2_files.save(model, source / "model.h5"), change)


def read_notes(out: Path) -> list[str]:
    path = out / notes.FILE
    return json.loads(path.read_text()) if path.exists() else []


@pytest.mark.parametrize("save", [save_keras, save_hdf5, save_keras2], ids=lambda save: save.__name__)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_a_model_of_16_bits_computes_in_float32(
    save: Callable[[keras.Model, Path], None], policy: str, source: Path, tmp_path: Path, out: Path
):
    model = convolution(policy)
    save(model, source)
    load.run(source, models.write_samples(model, tmp_path / "dataset"), out, trust=False)
    loaded = open_model(out)
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    assert read_notes(out) == [precision.WIDENED.format(policy)]
    wide = convolution("float32")
    wide.set_weights([np.asarray(weight, np.float32) for weight in model.get_weights()])
    images = models.images(3)
    np.testing.assert_allclose(loaded([images]), wide([images]), atol=1e-6)


def test_a_model_of_float32_is_left_alone(source: Path, tmp_path: Path, out: Path):
    save_keras(convolution("float32"), source)
    load.run(source, models.write_samples(convolution("float32"), tmp_path / "dataset"), out, trust=False)
    assert read_notes(out) == []
    already.refuse(out)


def test_what_keras_has_quantized_is_said(source: Path, tmp_path: Path, out: Path):
    inputs = keras.Input((12,))
    model = keras.Model(inputs, layers.Dense(2)(layers.LayerNormalization()(layers.Dense(8)(inputs))))
    model.quantize("int8")
    save_keras(model, source)
    load.run(source, models.write_samples(model, tmp_path / "dataset"), out, trust=False)
    assert read_notes(out) == [precision.QUANTIZED.format("2 of 3", "int8")]
    exported = tmp_path / "exported"
    exported.mkdir()
    export.run(out, tmp_path / "dataset", exported, opset=17)
    for folder in (out, exported):
        with pytest.raises(
            Unsupported, match=r"^the model is quantized already \(int8 by Keras\): give the float model"
        ):
            already.refuse(folder)
