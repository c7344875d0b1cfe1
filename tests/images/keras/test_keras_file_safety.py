"""A dangerous file is refused before it is opened; code inside of a model runs only if it is trusted."""

import base64
import copy
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from images.keras import load
from images.keras.model import archive, runtime
from images.keras.safety import files
from tests.images.keras import keras2_files
from tests.images.keras.load_errors import refusal


class Bomb:
    """Its pickle writes a file when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return (Path.write_text, (self.mark, "executed"))


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_pickle_in_disguise_is_not_opened(name: str, source: Path, dataset: Path, out: Path, tmp_path: Path):
    (source / name).write_bytes(pickle.dumps(Bomb(tmp_path / "mark")))
    expected = f"{name} is a pickle, which runs code as it is opened: save the model as .keras instead"
    assert refusal(source, dataset, out) == expected
    assert refusal(source, dataset, out, trust=True) == expected
    assert not (tmp_path / "mark").exists()


def plain() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(2)(inputs))


def test_a_pickle_inside_of_an_archive(source: Path, dataset: Path, out: Path, tmp_path: Path):
    plain().save(source / "model.keras")
    with zipfile.ZipFile(source / "model.keras", "a") as archive:
        archive.writestr("assets/data", pickle.dumps(Bomb(tmp_path / "mark")))
    assert refusal(source, dataset, out).startswith("model.keras: assets/data is a pickle")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_lambda_code_is_refused_unless_it_is_trusted(name: str, source: Path, dataset: Path, out: Path):
    inputs = keras.Input((3,))
    keras.Model(inputs, layers.Dense(2)(layers.Lambda(lambda x: x * 2, name="twice")(inputs))).save(source / name)
    assert refusal(source, dataset, out) == (
        f"{name}: layer 'twice' runs code that is in the file: "
        "--trust allows that, in the container; "
        "or define it in the file of --code, for a Lambda layer as a function of the layer's name"
    )
    load.run(source, dataset, out, trust=True)
    assert (out / "model.keras").exists()


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "old.h5"])
def test_a_function_of_the_users_file_takes_the_place_of_lambda_code(name: str, source: Path, dataset: Path, out: Path):
    """The code in the file is of an older Python, as in all files of a few years ago."""
    inputs = keras.Input((3,))
    built = keras.Model(inputs, layers.Dense(2)(layers.Lambda(lambda x: x * 2, name="twice")(inputs)))
    save_with_old_code(built, source / name)
    assert "layer 'twice' runs code that is in the file" in refusal(source, dataset, out)
    assert refusal(source, dataset, out, trust=True) == (
        f"{name}: layer 'twice' holds code that another version of Python wrote, which can't be read: "
        "define a function twice in the file of --code"
    )
    (source / "custom_objects.py").write_text("def twice(x):\n    return x * 2\n")
    load.run(source, dataset, out, trust=False)
    values = np.ones((2, 3), "f")
    (answer,) = keras.tree.flatten(runtime.open_model(out)([values]))
    np.testing.assert_allclose(answer, built(values), rtol=1e-6)


def save_with_old_code(model: keras.Model, path: Path) -> None:
    """Save a model with a Lambda layer whose code no Python of today can read; `old.h5` as Keras 2 wrote it."""
    if path.name == "old.h5":
        keras2_files.save(model, path)
    else:
        model.save(path)

    def change(given: Any) -> Any:
        config = copy.deepcopy(given)
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Lambda")
        code = base64.b64encode(b"\xe3\x01\x00\x00\x00").decode()
        if path.name == "old.h5":
            layer["config"] |= {"function": [code, None, None], "function_type": "lambda", "output_shape_type": "raw"}
        else:
            layer["config"]["function"]["config"]["code"] = code
        return config

    if path.suffix == ".h5":
        keras2_files.edit(path, change)
    else:
        with archive.rewrite_archive(path, change) as changed:
            content = changed.read_bytes()
        path.write_bytes(content)


def test_lambda_code_deep_inside(source: Path, dataset: Path, out: Path):
    inner = keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x * 2, name="deep")], name="inner")
    inputs = keras.Input((4, 3))
    keras.Model(inputs, layers.TimeDistributed(inner)(inputs)).save(source / "model.keras")
    assert "layer 'deep' runs" in refusal(source, dataset, out)


def test_a_lambda_of_a_named_function_is_the_users_own(source: Path, dataset: Path, out: Path):
    code = "import keras\n\n@keras.saving.register_keras_serializable()\ndef twice(x):\n    return x * 2\n"
    space: dict = {"__name__": "their_file"}
    exec(code, space)
    inputs = keras.Input((3,))
    keras.Model(inputs, layers.Lambda(space["twice"])(inputs)).save(source / "model.keras")
    (source / "custom_objects.py").write_text(code)
    load.run(source, dataset, out, trust=False)
    assert (out / "model.keras").exists()


def test_a_zip_bomb_is_not_unpacked(source: Path, dataset: Path, out: Path):
    plain().save(source / "model.keras")
    with zipfile.ZipFile(source / "model.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(files.BOMB_SIZE * 2))
    assert refusal(source, dataset, out).startswith("model.keras would unpack to 0.1 GB, from 0.1 MB")


def test_a_bomb_in_hdf5(source: Path, dataset: Path, out: Path):
    plain().save(source / "model.h5")
    with h5py.File(source / "model.h5", "a") as file:
        file.create_dataset("zeros", (1 << 40,), "f4", chunks=(1 << 16,), compression="gzip")
    assert refusal(source, dataset, out).startswith("model.h5 would unpack to 4398.0 GB")


def test_arrays_in_another_file_are_not_read(source: Path, dataset: Path, out: Path):
    plain().save(source / "model.h5")
    with h5py.File(source / "model.h5", "a") as file:
        file.create_dataset("secret", (16,), "u1", external=[("/etc/passwd", 0, 16)])
    assert refusal(source, dataset, out) == "model.h5 reads another file ('secret'): don't use it"
    with h5py.File(source / "model.h5", "a") as file:
        del file["secret"]
        file["link"] = h5py.ExternalLink("other.h5", "/")
    assert refusal(source, dataset, out) == "model.h5 reads another file ('link'): don't use it"


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "..\\escaped"])
def test_a_member_that_would_leave_its_folder(name: str, source: Path, dataset: Path, out: Path):
    plain().save(source / "model.keras")
    with zipfile.ZipFile(source / "model.keras", "a") as archive:
        archive.writestr(name, "x")
    assert refusal(source, dataset, out).startswith("model.keras would write outside of its folder")


def test_a_member_that_is_missing(source: Path, dataset: Path, out: Path):
    plain().save(source / "whole.keras")
    with zipfile.ZipFile(source / "whole.keras") as whole, zipfile.ZipFile(source / "model.keras", "w") as part:
        part.writestr("config.json", whole.read("config.json"))
    (source / "whole.keras").unlink()
    assert "it has no metadata.json" in refusal(source, dataset, out)


def test_weights_alone_are_no_model(source: Path, dataset: Path, out: Path):
    plain().save_weights(source / "own.weights.h5")
    assert "it holds weights without a model" in refusal(source, dataset, out)


def test_a_saved_model_that_writes_files(source: Path, dataset: Path, out: Path, tmp_path: Path):
    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32)])
        def answer(self, x: tf.Tensor) -> dict:
            tf.io.write_file(str(tmp_path / "mark"), "executed")
            return {"y": x * 2}

    writer = Writer()
    tf.saved_model.save(writer, source / "saved", signatures={"serving_default": writer.answer})
    assert refusal(source, dataset, out).startswith("saved has operators that aren't known to only compute (WriteFile)")
    assert not (tmp_path / "mark").exists()


def test_a_saved_model_that_is_cut_short(source: Path, dataset: Path, out: Path):
    plain().export(source / "saved", verbose=False)
    whole = (source / "saved" / "saved_model.pb").read_bytes()
    (source / "saved" / "saved_model.pb").write_bytes(whole[: len(whole) // 2])
    assert "saved" in refusal(source, dataset, out)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("class Twice(\n", "custom_objects.py, line 1: SyntaxError: "),
        ("import keras\nraise ValueError('no\\nway')\n", "custom_objects.py, line 2: ValueError: no"),
        ("import missing_package\n", "custom_objects.py, line 1: ModuleNotFoundError: "),
        ("raise SystemExit\n", "custom_objects.py, line 1: SystemExit"),
        ("custom_objects = [1]\n", "custom_objects.py: custom_objects must be a dict of names and objects"),
    ],
)
def test_an_error_of_the_users_file_names_its_line(code: str, message: str, source: Path, dataset: Path, out: Path):
    plain().save(source / "model.keras")
    (source / "custom_objects.py").write_text(code)
    assert refusal(source, dataset, out).startswith(message)


def test_a_layer_that_nothing_defines(source: Path, dataset: Path, out: Path):
    class Twice(layers.Layer):
        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return x * 2

    inputs = keras.Input((3,))
    keras.Model(inputs, Twice()(inputs)).save(source / "model.keras")
    assert refusal(source, dataset, out) == (
        f"Keras {keras.__version__} can't load model.keras: Could not locate class 'Twice': "
        "name the Python file that defines it, by --code or in the experiment, model.code"
    )
    code = "import keras\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n        raise KeyError('mine')\n"
    (source / "custom_objects.py").write_text(code)
    assert "(custom_objects.py, line 4)" in refusal(source, dataset, out)


def test_a_layer_of_an_hdf5_file_that_nothing_defines(source: Path, dataset: Path, out: Path):
    """Keras's reader of HDF5 files has a message of its own."""

    class Thrice(layers.Layer):
        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return x * 3

    inputs = keras.Input((3,))
    keras.Model(inputs, Thrice()(inputs)).save(source / "model.h5")
    assert refusal(source, dataset, out) == (
        f"Keras {keras.__version__} can't load model.h5: Unknown layer: 'Thrice': "
        "name the Python file that defines it, by --code or in the experiment, model.code"
    )


def test_the_users_file_stays_beside_the_model(source: Path, dataset: Path, out: Path):
    plain().save(source / "model.keras")
    (source / "custom_objects.py").write_text("custom_objects = {}\n")
    load.run(source, dataset, out, trust=False)
    assert sorted(path.name for path in out.iterdir()) == ["custom_objects.py", "model.keras", "signature.json"]
    assert json.loads((out / "signature.json").read_text())["inputs"][0]["shape"] == [3]
