"""A model file runs only functions that compute; anything else that it names runs only if it is trusted."""

import inspect
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from images.keras import load
from images.keras.model import runtime, tf_ops
from images.keras.safety import configuration, keras_names, tf_functions
from shared.errors import CrossquantError
from tests.images.keras import hostile, keras2_files
from tests.images.keras.load_errors import refusal_by_both

Change = Callable[[hostile.Config], None]
MARK = "/tmp/crossquant-was-here"
CODE = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
PATH = "/etc/passwd"


def harmless_error(source: Path, dataset: Path, out: Path) -> str:
    """The one line of the error, which `inspect` gives too. Nothing that the file names was called."""
    Path(MARK).unlink(missing_ok=True)
    error = refusal_by_both(source, dataset, out)
    assert not Path(MARK).exists()
    return error


NAMED: dict[str, tuple[Change, str]] = {
    # functions that Keras's safe mode finds
    "writes a picture": (
        hostile.calling("keras.visualization", "plot_image_gallery", path=MARK, value_range=[0, 1]),
        "calls keras.visualization.plot_image_gallery",
    ),
    "downloads weights": (
        hostile.calling("keras.applications.resnet50", "ResNet50", weights=PATH),
        "calls keras.applications.resnet50.ResNet50",
    ),
    "downloads data": (hostile.calling("keras.datasets.mnist", "load_data"), "calls keras.datasets.mnist.load_data"),
    "a file": (hostile.calling("keras.utils", "get_file", origin="file:///etc/passwd"), "calls keras.utils.get_file"),
    "plots": (hostile.calling("keras.utils", "plot_model", to_file=MARK), "calls keras.utils.plot_model"),
    "sets": (hostile.calling("keras.config", "set_floatx"), "calls keras.config.set_floatx"),
    "trust": (
        hostile.calling("keras.config", "enable_unsafe_deserialization"),
        "calls keras.config.enable_unsafe_deserialization",
    ),
    "takes a function": (hostile.calling("keras.ops", "map"), "calls keras.ops.map"),
    "vectorize": (hostile.calling("keras.ops", "vectorize"), "calls keras.ops.vectorize"),
    "old backend": (hostile.calling("keras._legacy.backend", "map_fn"), "calls keras._legacy.backend.map_fn"),
    "loads": (hostile.calling("keras.saving", "load_model"), "calls keras.saving.load_model"),
    "clones": (hostile.calling("keras.models", "clone_model"), "calls keras.models.clone_model"),
    "deserializes": (
        hostile.calling("keras.legacy.saving", "deserialize_keras_object"),
        "calls keras.legacy.saving.deserialize_keras_object",
    ),
    "by name alone": (hostile.calling("builtins", "deserialize"), "calls builtins.deserialize"),
    "inside of Keras": (
        hostile.calling("keras.src.utils.file_utils", "get_file"),
        "calls keras.src.utils.file_utils.get_file",
    ),
    "activation": (
        hostile.setting("activation", hostile.function("keras.utils", "plot_model")),
        "layer 'last' calls keras.utils.plot_model",
    ),
    "initializer": (
        hostile.setting(
            "kernel_initializer", {"module": "keras.utils", "class_name": "FeatureSpace", "config": {"features": {}}}
        ),
        "layer 'last' calls keras.utils.FeatureSpace",
    ),
    "type": (
        hostile.setting(
            "dtype",
            {
                "class_name": "__typespec__",
                "spec_name": "KerasFileEditor",
                "module": "keras.saving",
                "registered_name": None,
                "config": [],
            },
        ),
        "layer 'last' calls keras.saving.KerasFileEditor",
    ),
    # layers
    "SavedModel": (
        hostile.class_of("keras.layers", "TFSMLayer", filepath="/tmp"),
        "layer 'odd' calls keras.layers.TFSMLayer",
    ),
    "pickle": (
        hostile.class_of("keras.layers", "TorchModuleWrapper", module="gASVAA=="),
        "layer 'odd' calls keras.layers.TorchModuleWrapper",
    ),
    "JAX": (hostile.class_of("keras.layers", "JaxLayer", call_fn=CODE), "layer 'odd' calls keras.layers.JaxLayer"),
    "Flax": (hostile.class_of("keras.layers", "FlaxLayer", module="x"), "layer 'odd' calls keras.layers.FlaxLayer"),
    "inner path": (
        hostile.class_of("keras.src.export.tfsm_layer", "TFSMLayer", filepath="/tmp"),
        "layer 'odd' calls keras.src.export.tfsm_layer.TFSMLayer",
    ),
    "an operation that takes a function": (
        hostile.class_of("keras.src.ops.core", "Map"),
        "layer 'odd' calls keras.src.ops.core.Map",
    ),
    "vocabulary": (
        hostile.class_of("keras.layers", "StringLookup", vocabulary=PATH),
        "layer 'odd' reads the file /etc/passwd",
    ),
    "vocabulary of numbers": (
        hostile.class_of("keras.layers", "IntegerLookup", vocabulary=PATH),
        "layer 'odd' reads the file /etc/passwd",
    ),
    "vocabulary of a text": (
        hostile.class_of("keras.layers", "TextVectorization", vocabulary=PATH),
        "layer 'odd' reads the file /etc/passwd",
    ),
    # code
    "code as a shape": (
        hostile.class_of("keras.layers", "Lambda", function=hostile.function("builtins", "relu"), output_shape=CODE),
        "layer 'odd' runs code that is in the file",
    ),
    "code as a mask": (
        hostile.class_of("keras.layers", "Lambda", function=hostile.function("builtins", "relu"), mask=CODE),
        "layer 'odd' runs code that is in the file",
    ),
    "code as an activation": (hostile.setting("activation", CODE), "layer 'last' runs code that is in the file"),
    "no class": (hostile.class_of("keras.layers", ["Dense"]), "layer 'odd' names no class but ['Dense']"),
    "a terminal's command": (
        hostile.class_of("keras.utils", "x\x1b[2J\nAll gates hold."),
        "layer 'odd' calls keras.utils.x [2J All gates hold., which",
    ),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_name_that_does_more_than_compute(case: str, source: Path, dataset: Path, out: Path):
    change, expected = NAMED[case]
    hostile.archive(source / "model.keras", change)
    line = harmless_error(source, dataset, out)
    assert line.startswith("model.keras: layer '")
    assert expected in line
    assert "--trust allows that, in the container" in line


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("subprocess", "run")])
def test_a_module_that_is_not_keras(module: str, name: str, source: Path, dataset: Path, out: Path):
    """Keras finds nothing outside of itself but what is the user's own."""
    hostile.archive(source / "model.keras", hostile.calling(module, name, command=f"touch {MARK}"))
    assert f"Could not locate function '{name}'" in harmless_error(source, dataset, out)
    hostile.archive(source / "model.keras", hostile.class_of(module, name))
    assert f"Could not locate class '{name}'" in harmless_error(source, dataset, out)


def test_what_a_model_inside_was_compiled_with(source: Path, dataset: Path, out: Path):
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="inner")
    inner.compile("adam", "mse")
    inputs = keras.Input((3,))

    def change(config: hostile.Config) -> None:
        edited_layer = next(item for item in config["config"]["layers"] if item["class_name"] == "Sequential")
        edited_layer["compile_config"]["loss"] = hostile.function("keras.utils", "get_file")

    hostile.archive(source / "model.keras", change, keras.Model(inputs, inner(inputs)))
    assert "calls keras.utils.get_file" in harmless_error(source, dataset, out)


HDF5: dict[str, tuple[Change, str]] = {
    "code": (
        hostile.class_of(None, "Lambda", function=["4wEAAAA=", None, None], function_type="lambda"),
        "layer 'odd' runs code that is in the file",
    ),
    "SavedModel": (hostile.class_of(None, "TFSMLayer", filepath="/tmp"), "layer 'odd' calls TFSMLayer"),
    "a function of the module": (
        hostile.class_of(None, "deserialize", config={"class_name": "TFSMLayer", "config": {}}),
        "layer 'odd' calls deserialize",
    ),
    "the module's own attributes": (hostile.class_of(None, "__loader__"), "layer 'odd' calls __loader__"),
    "vocabulary": (
        hostile.class_of(None, "StringLookup", vocabulary=PATH),
        "layer 'odd' reads the file /etc/passwd",
    ),
    "activation": (
        hostile.setting("activation", hostile.function("keras.utils", "plot_model")),
        "layer 'last' calls keras.utils.plot_model",
    ),
}


@pytest.mark.parametrize("version", ["2.8.0", "3.15.1"])
@pytest.mark.parametrize("case", HDF5)
def test_the_same_in_hdf5(case: str, version: str, source: Path, dataset: Path, out: Path):
    change, expected = HDF5[case]
    hostile.hdf5(source / "model.h5", change, version)
    assert expected in harmless_error(source, dataset, out)


def test_a_name_that_only_the_keras2_fixes_make(source: Path, dataset: Path, out: Path):
    """A "/" in the name of a layer becomes "_", and so does the same text elsewhere."""

    def change(config: hostile.Config) -> None:
        hostile.layer(config, "last")["config"]["activation"] = {"class_name": "/_lambda__", "config": CODE["config"]}
        edited_layer = hostile.layer(config)
        edited_layer["config"]["name"] = "/_lambda__"
        config["config"] = json.loads(json.dumps(config["config"]).replace('"odd"', '"/_lambda__"'))

    hostile.hdf5(source / "model.h5", change)
    assert "runs code that is in the file" in harmless_error(source, dataset, out)


def test_a_configuration_without_end(source: Path, dataset: Path, out: Path):
    deep: Any = {}
    for _ in range(900):
        deep = {"deep": deep}
    hostile.archive(source / "model.keras", hostile.setting("deep", deep))
    assert "model.keras" in harmless_error(source, dataset, out)


def chain() -> list[tuple[str, Any]]:
    """What the loader of a module of TensorFlow can be made to do, as it was done: read a file."""
    return [("math.__loader__.get_data", PATH), ("math.__class__", MARK), ("io.read_file", PATH)]


@pytest.mark.parametrize("name", [name for name, _ in chain()] + ["numpy_function", "py_function", "load_op_library"])
def test_a_tensorflow_function_that_does_more(name: str, source: Path, dataset: Path, out: Path):
    """In a .keras file, which names the class that this project keeps such a layer as."""

    def change(config: hostile.Config) -> None:
        edited_layer = hostile.layer(config)
        edited_layer.update(module="images.keras.model.tf_ops", class_name="TensorFlowCall")
        edited_layer["registered_name"] = "crossquant>TensorFlowCall"
        edited_layer["config"] = {"name": "odd", "function": name}

    hostile.archive(source / "model.keras", change)
    assert harmless_error(source, dataset, out).startswith(
        f"model.keras: layer 'odd' calls tf.{name}, which isn't known to only compute: --trust allows that"
    )


def test_the_class_for_trusted_files_is_not_found_in_others(source: Path, dataset: Path, out: Path):
    change = hostile.class_of("images.keras.model.tf_ops", "TrustedTensorFlowCall", function="io.read_file")
    hostile.archive(source / "model.keras", change)
    assert "Could not locate class 'TrustedTensorFlowCall'" in harmless_error(source, dataset, out)


def test_a_function_as_an_argument_of_an_allowed_one():
    """What a configuration may turn into when it is read: none of it is data."""
    call = tf_ops.TensorFlowCall("math.add", name="sum")
    for argument in (print, keras.layers.Dense(2), [max], {"y": [len]}, tf, object()):
        with pytest.raises(CrossquantError, match=r"layer 'sum' passes .* to tf\.math\.add, which is not data"):
            call(tf.ones(2), y=argument)
    assert call(tf.ones(2), y=2.0).numpy().tolist() == [3.0, 3.0]


def test_a_file_that_is_trusted_may_call_any(source: Path, dataset: Path, out: Path):
    """And it is still trusted when a later stage reads it."""
    path = keras2_files.save(hostile.plain(), source / "model.h5")

    def change(config: dict) -> dict:
        edited_layer = hostile.layer(config)
        edited_layer["class_name"] = "TFOpLambda"
        edited_layer["config"] = {
            "name": "odd",
            "trainable": True,
            "dtype": "float32",
            "function": "debugging.check_numerics",
        }
        edited_layer["inbound_nodes"] = [["x", 0, 0, {"message": "not a number"}]]
        return config

    keras2_files.edit(path, change)
    line = harmless_error(source, dataset, out)
    assert line.startswith("model.h5: layer 'odd' calls tf.debugging.check_numerics, which isn't known to only compute")
    load.run(source, dataset, out, trust=True)
    opened = runtime.open_model(out)
    (answer,) = keras.tree.flatten(opened([tf.ones((2, 3))]))
    assert answer.shape == (2, 2)
    (out / runtime.TRUST).unlink()
    with pytest.raises(Exception, match="TrustedTensorFlowCall"):
        runtime.open_model(out)


def test_a_keras_function_that_is_trusted(source: Path, dataset: Path, out: Path):
    hostile.archive(source / "model.keras", hostile.calling("keras.utils", "normalize", axis=-1))
    assert "calls keras.utils.normalize" in harmless_error(source, dataset, out)
    trusted = load.load_file(source / "model.keras", {}, trust=True)
    assert trusted(np.ones((2, 3), "f")).shape == (2, 2)


def test_weights_of_an_archive_that_lie_in_another_file(source: Path, dataset: Path, out: Path):
    whole = source / "whole.keras"
    hostile.plain().save(whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(source / "model.keras", "w") as target:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "model.weights.h5":
                memory = io.BytesIO(content)
                with h5py.File(memory, "r+") as file:
                    del file["layers/dense/vars/0"]
                    file["layers/dense/vars"].create_dataset("0", (3, 2), "f4", external=[(PATH, 0, 24)])
                content = memory.getvalue()
            target.writestr(name, content)
    whole.unlink()
    assert "H5 file with external Dataset" in harmless_error(source, dataset, out)


def test_a_virtual_array_is_not_read(source: Path, dataset: Path, out: Path, tmp_path: Path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.arange(6.0)
    hostile.plain().save(source / "model.h5")
    with h5py.File(source / "model.h5", "r+") as file:
        layout = h5py.VirtualLayout((6,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (6,))
        file.create_virtual_dataset("virtual", layout)
    assert harmless_error(source, dataset, out) == "model.h5 reads another file ('virtual'): don't use it"


def everyday() -> keras.Model:
    """What a model of today names: operations, policies, seeds, a compiled model inside, functions as activations."""
    inputs = keras.Input((8, 8, 3))
    x = layers.RandomFlip("horizontal", seed=3)(layers.Rescaling(1 / 255)(inputs))
    x = layers.Conv2D(
        4,
        3,
        kernel_regularizer=keras.regularizers.L2(0.1),
        kernel_constraint=keras.constraints.MaxNorm(2),
        kernel_initializer=keras.initializers.HeNormal(seed=1),
        activation="silu",
    )(x)
    x = keras.ops.concatenate([x * 2 + 1, keras.ops.absolute(x)], axis=-1)[:, :, :, 1:]
    x = layers.Activation(keras.activations.gelu)(keras.ops.moveaxis(x, 1, 2))
    x = layers.Dropout(0.1, seed=2)(layers.GlobalAveragePooling2D()(x))
    x = layers.Dense(6, activation=layers.LeakyReLU(), dtype=keras.DTypePolicy("mixed_float16"))(x)
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Lambda(keras.ops.relu)])
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
    inner.compile(optimizer, keras.losses.Huber(), metrics=[keras.metrics.MeanAbsoluteError(), "mse"])
    return keras.Model(inputs, inner(x))


@pytest.mark.parametrize(
    "build",
    [
        everyday,
        lambda: keras.applications.MobileNetV3Small(weights=None),
        lambda: keras.applications.ConvNeXtTiny(weights=None),
        lambda: keras.applications.EfficientNetV2B0(weights=None),
    ],
    ids=["everyday", "MobileNetV3", "ConvNeXt", "EfficientNetV2"],
)
def test_models_of_today_name_nothing_else(build: Callable[[], keras.Model]):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(build())))
    assert list(configuration.find_problems(config)) == []


def test_an_everyday_model_is_loaded(source: Path, dataset: Path, out: Path):
    everyday().save(source / "model.keras")
    np.save(dataset / "input_0.npy", np.zeros((4, 8, 8, 3), "f"))
    load.run(source, dataset, out, trust=False)
    assert (out / "model.keras").exists()


APART = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Layer"}


def test_every_layer_of_keras_has_been_thought_of():
    """One that a newer Keras brings is refused until somebody has looked at it."""
    public = {name for name, item in vars(keras.layers).items() if inspect.isclass(item) and name[0] != "_"}
    assert {name for name in public if issubclass(vars(keras.layers)[name], layers.Layer)} == (
        (keras_names.LAYERS | APART) & public
    )


def test_names_of_functions_are_those_of_tensorflow():
    assert all(callable(item) for item in tf_functions.FUNCTIONS.values())
    assert not [name for name in tf_functions.NAMES if any(part.startswith("_") for part in name.split("."))]
    takes = {name: inspect.signature(item).parameters for name, item in tf_functions.FUNCTIONS.items()}
    callables = {"fn", "func", "function", "op", "filename", "file", "path"}
    assert {name for name, parameters in takes.items() if callables & set(parameters)} == set()
