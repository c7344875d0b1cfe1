"""Files of Keras 2: what Keras 3 refuses in them is fixed, and they answer as before."""

import ctypes
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from images.keras import export, load
from images.keras.model import keras2, runtime
from images.keras.safety import files
from shared.artifacts import store
from shared.errors import CrossquantError
from tests.images.keras import keras2_files

NAME = "pretrainedResnet.h5"  # where the experiment mlperf-tiny looks for it
PLACES = (store.volumes() / "inputs" / NAME, store.ROOT.parent / "shared" / "reference" / NAME)
CAPABILITIES, OVERRIDE = 0x20080522, 1  # Linux's version 3 of the call, and the capability to go by no file's mode
REFERENCE = next((path for path in PLACES if path.exists()), None)


def convolutions() -> keras.Model:
    inputs = keras.Input((8, 8, 4), name="image")
    x = layers.DepthwiseConv2D(3, padding="same")(inputs)
    x = layers.SpatialDropout2D(0.1)(layers.BatchNormalization()(layers.SeparableConv2D(4, 3)(x)))
    x = layers.LeakyReLU(0.3)(layers.Conv2DTranspose(3, 2, 2)(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))


def recurrent() -> keras.Model:
    inputs = keras.Input((6, 4))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(inputs)
    x = layers.TimeDistributed(layers.Dense(4))(layers.GRU(3, return_sequences=True)(x))
    return keras.Model(inputs, layers.SimpleRNN(2)(x))


def attention() -> keras.Model:
    inputs = keras.Input((4, 6))
    x = layers.LayerNormalization()(inputs)
    return keras.Model(inputs, layers.Add()([inputs, layers.MultiHeadAttention(2, 3)(x, x)]))


def nested() -> keras.Model:
    inner = keras.Input((5,))
    body = keras.Model(inner, layers.Dense(3)(inner), name="body")
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(2)(body(inputs)))


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="relu"), layers.Dense(2)])


BUILDERS = (convolutions, recurrent, attention, nested)


def build_random(build: Callable[[], keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(0)
    built = build()
    random = np.random.default_rng(0)
    for weight in built.weights:
        weight.assign(random.uniform(0.1, 0.6, weight.shape))
    return built


def samples(built: keras.Model) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, *built.inputs[0].shape[1:])).astype("f")


def load_file(path: Path) -> keras.Model:
    return load.load_file(path, {}, trust=False)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_a_file_of_keras_2_answers_as_before(build: Callable[[], keras.Model], tmp_path: Path):
    built = build_random(build)
    model = load_file(keras2_files.save(built, tmp_path / "model.h5"))
    np.testing.assert_allclose(model(samples(built)), built(samples(built)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", [convolutions, recurrent, attention], ids=lambda build: build.__name__)
def test_keras_3_itself_refuses_it(build: Callable[[], keras.Model], tmp_path: Path):
    """If it doesn't any more, the mending can go."""
    path = keras2_files.save(build_random(build), tmp_path / "model.h5")
    with pytest.raises(Exception):  # noqa: B017 - it has many ways
        model = keras.models.load_model(path, compile=False)
        model(samples(model))


@pytest.mark.parametrize(("build", "name"), [(sequential, "Sequential"), (nested, "Model")])
def test_older_names_of_a_model(build: Callable[[], keras.Model], name: str, tmp_path: Path):
    built = build_random(build)
    model = load_file(keras2_files.save(built, tmp_path / "model.h5", name))
    np.testing.assert_allclose(model(samples(built)), built(samples(built)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", ["2.13.1", "2.15.0"])
@pytest.mark.parametrize("build", [*BUILDERS, sequential], ids=lambda build: build.__name__)
def test_an_archive_of_keras_2(build: Callable[[], keras.Model], version: str, tmp_path: Path):
    built = build_random(build)
    path = keras2_files.save_archive(built, tmp_path / "model.keras", version)
    content = path.read_bytes()
    files.check_file(path, trust=False)
    model = load_file(path)
    np.testing.assert_allclose(model(samples(built)), built(samples(built)), rtol=1e-5, atol=1e-6)
    assert path.read_bytes() == content


def list_layers(config: Any) -> Any:
    """A part of a configuration in which each Sequential is the list of its layers, as before Keras 2.2.3."""
    if isinstance(config, list):
        return [list_layers(item) for item in config]
    if not isinstance(config, dict):
        return config
    copied = {key: list_layers(item) for key, item in config.items()}
    if copied.get("class_name") == "Sequential":
        first, *others = copied["config"]["layers"]
        others[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]  # there was no InputLayer
        copied["config"] = others
    return copied


def sequential_inside() -> keras.Model:
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(2)(sequential()(inputs)))


@pytest.mark.parametrize("build", [sequential, sequential_inside])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_sequential_that_is_a_list_of_layers(build: Callable[[], keras.Model], suffix: str, tmp_path: Path):
    built = build_random(build)
    name = "Sequential" if build is sequential else "Model"
    written = keras2_files.edit(keras2_files.save(built, tmp_path / "model.h5", name), list_layers)
    path = written.rename(tmp_path / f"model{suffix}")  # up to TensorFlow 2.11, model.keras was an HDF5 file, too
    files.check_file(path, trust=False)
    model = load_file(path)
    np.testing.assert_allclose(model(samples(built)), built(samples(built)), rtol=1e-5, atol=1e-6)


def test_an_hdf5_file_of_keras_3_by_the_name_of_an_archive(tmp_path: Path):
    built = build_random(sequential)
    built.save(tmp_path / "model.h5")
    path = (tmp_path / "model.h5").rename(tmp_path / "model.keras")
    np.testing.assert_allclose(load_file(path)(samples(built)), built(samples(built)), rtol=1e-5, atol=1e-6)


def test_neither_optimizer_nor_file_is_touched(tmp_path: Path):
    path = keras2_files.save(build_random(convolutions), tmp_path / "model.h5")
    before = path.read_bytes()
    assert not load_file(path).compiled
    assert path.read_bytes() == before


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """What lies in `folder` can't be written to in this thread, whoever runs the tests: root goes by the modes too."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    libc, header, sets = (
        ctypes.CDLL(None, use_errno=True),
        (ctypes.c_uint32 * 2)(CAPABILITIES, 0),
        (ctypes.c_uint32 * 6)(),
    )
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~(1 << OVERRIDE)
    assert libc.capset(header, sets) == 0
    try:
        with pytest.raises(PermissionError):
            next(path for path in paths if path.is_file()).open("r+b")
        with pytest.raises(PermissionError):
            (folder / "other").touch()
        yield
    finally:
        sets[0] = effective
        assert libc.capset(header, sets) == 0
        for path in paths:
            path.chmod(0o755)


@pytest.mark.parametrize("name", ["model.h5", "new.h5", "model.keras", "saved"])
def test_a_file_in_a_folder_that_can_not_be_written_to(name: str, tmp_path: Path, out: Path):
    """As the volume is mounted in a container: nothing is opened for writing, and nothing is written beside it."""
    built, folder = build_random(convolutions), tmp_path / "source"
    folder.mkdir()
    if name == "saved":
        built.export(folder, verbose=False)
    elif name == "model.h5":
        keras2_files.save(built, folder / name)
    else:
        built.save(folder / name)
    before = sorted(folder.rglob("*"))
    with read_only(folder):
        load.store_model(folder, out, trust=False)
    assert sorted(folder.rglob("*")) == before
    answer = runtime.open_model(out)([samples(built)])
    np.testing.assert_allclose(keras.tree.flatten(answer)[0], built(samples(built)), rtol=1e-5, atol=1e-6)


def test_a_version_that_an_old_library_wrote_as_bytes(tmp_path: Path):
    built = build_random(convolutions)
    path = keras2_files.save(built, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = np.bytes_(b"2.2.4")
        file.attrs["model_config"] = np.bytes_(file.attrs["model_config"].encode())
    np.testing.assert_allclose(load_file(path)(samples(built)), built(samples(built)), rtol=1e-5, atol=1e-6)


def test_a_large_file_is_not_read_into_memory(tmp_path: Path):
    """Of what lies in it beside the weights, such as an optimizer's state, nothing is read."""
    built = build_random(convolutions)
    path = keras2_files.save(built, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file["optimizer_weights"].create_dataset("state", data=np.random.default_rng(0).random(25_000_000))
    load_file(path)  # what Keras needs once
    tracemalloc.start()
    load_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 200_000_000
    assert peak < 50_000_000


def test_a_slash_in_the_name_of_a_layer(tmp_path: Path):
    built = build_random(sequential_named)

    def slashed(config: dict) -> dict:
        return keras2.replace_texts(config, {"block1_dense": "block1/dense"})

    model = load_file(keras2_files.edit(keras2_files.save(built, tmp_path / "model.h5"), slashed))
    assert [layer.name for layer in model.layers][1] == "block1_dense"
    np.testing.assert_allclose(model(samples(built)), built(samples(built)), rtol=1e-6)


def sequential_named() -> keras.Model:
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(3, name="block1_dense")(inputs)))


def calls(config: dict) -> dict:
    """In the place of Rescaling and Add: x * 2 and tf.math.add(x, y), as Keras 2 wrote them; then x[:, :2]."""
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Rescaling":
            change(layer, "math.multiply", [["a", 0, 0, {"y": 2.0, "name": None}]])
        elif layer["class_name"] == "Add":
            change(layer, "math.add", [["twice", 0, 0, {"y": ["b", 0, 0], "name": None}]])
        elif layer["class_name"] == "Identity":
            cut = [{"start": None, "stop": None, "step": None}, {"start": None, "stop": 2, "step": None}]
            change(layer, "__operators__.getitem", ["sum", 0, 0, {"slice_spec": cut}], "SlicingOpLambda")
    return config


def change(layer: dict, function: str, node: list[Any], kind: str = "TFOpLambda") -> None:
    layer["class_name"], layer["inbound_nodes"] = kind, [node]
    layer["config"] = {"name": layer["name"], "trainable": True, "dtype": "float32", "function": function}


def with_operators() -> keras.Model:
    inputs = keras.Input((5,))
    one, two = layers.Dense(3, name="a")(inputs), layers.Dense(3, name="b")(inputs)
    total = layers.Add(name="sum")([layers.Rescaling(2.0, name="twice")(one), two])
    return keras.Model(inputs, layers.Identity(name="cut")(total))


def test_operators_of_tensorflow_between_layers(tmp_path: Path, out: Path):
    built = build_random(with_operators)
    model = load_file(keras2_files.edit(keras2_files.save(built, tmp_path / "model.h5"), calls))
    expected = built(samples(built))[:, :2]
    np.testing.assert_allclose(model(samples(built)), expected, rtol=1e-6)
    model.save(out / "model.keras")  # the layer that stands for them can be kept, and exported
    again = runtime.open_model(out)
    np.testing.assert_allclose(keras.tree.flatten(again([samples(built)]))[0], expected, rtol=1e-6)
    graph, _ = export.convert(again, 17)
    export.check_model(graph)


def test_an_operator_that_reaches_out_is_not_called(tmp_path: Path):
    def reading(config: dict) -> dict:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Rescaling":
                change(layer, "io.read_file", [["a", 0, 0, {"name": None}]])
        return config

    path = keras2_files.edit(keras2_files.save(build_random(with_operators), tmp_path / "model.h5"), reading)
    with pytest.raises(CrossquantError) as caught:
        load_file(path)
    assert "layer 'twice' calls tf.io.read_file, which isn't known to only compute: --trust" in str(caught.value)


def gated() -> keras.Model:
    inputs = keras.Input((6, 4))
    x = layers.LSTM(3, recurrent_activation="hard_sigmoid", return_sequences=True)(inputs)
    x = layers.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False)(x)
    return keras.Model(inputs, layers.Activation("hard_sigmoid")(layers.Dense(2)(x)))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_hard_sigmoid_is_that_of_keras_2(suffix: str, tmp_path: Path, out: Path):
    """By the same name Keras 3 has another function: it would answer otherwise, without an error."""
    built = build_random(gated)
    if suffix == ".h5":
        path = keras2_files.edit(keras2_files.save(built, tmp_path / "model.h5"), drop_reset_after)
    else:
        path = keras2_files.save_archive(built, tmp_path / "model.keras", "2.15.0")
    model = load_file(path)
    for layer in built.layers:
        for owner, name in ((layer, "activation"), (getattr(layer, "cell", None), "recurrent_activation")):
            if getattr(owner, name, None) is keras.activations.hard_sigmoid:
                setattr(owner, name, lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0))
    expected = built(samples(built))
    np.testing.assert_allclose(model(samples(built)), expected, rtol=1e-5, atol=1e-6)
    model.save(out / runtime.FILE)
    opened = runtime.open_model(out)
    np.testing.assert_allclose(keras.tree.flatten(opened([samples(built)]))[0], expected, rtol=1e-5, atol=1e-6)


def drop_reset_after(config: dict) -> dict:
    """Files of the first versions of Keras 2 don't say how a GRU applies its reset gate: before the product."""
    for layer in config["config"]["layers"]:
        layer["config"].pop("reset_after", None)
    return config


def various() -> keras.Model:
    """Layers of which Keras 2 wrote more, or other, settings than Keras 3 reads."""
    inputs = keras.Input((4, 6))
    x = layers.SpatialDropout1D(0.1)(layers.MultiHeadAttention(2, 3)(inputs, inputs))
    x = layers.ReLU(threshold=0.25)(layers.Attention(use_scale=True)([x, x]))
    x = keras.Sequential([keras.Input((4, 6)), layers.Dense(3)])(x)
    return keras.Model(inputs, layers.Add()([x, layers.Lambda(lambda y: y[..., :3], name="cut")(inputs)]))


def preprocessed() -> keras.Model:
    inputs = keras.Input((6, 6, 1))
    x = layers.RandomFlip()(inputs)
    return keras.Model(inputs, layers.Discretization([0.2, 0.6], name="bins")(x))


def with_settings_of_keras_2(config: dict) -> dict:
    """The settings that TensorFlow 2.15 wrote; a Sequential is called for the second time, after its own graph."""
    more = {
        "SpatialDropout1D": {"trainable": True},
        "MultiHeadAttention": {"softmax_robust_masking": False},
        "Attention": {"score_mode": "dot"},
        "RandomFlip": {"rng_type": "stateful"},
        "Discretization": {"trainable": True, "dtype": "int64"},
    }
    for item in config["config"]["layers"]:
        item["config"] |= more.get(item["class_name"], {})
        if item["class_name"] == "ReLU":
            item["class_name"] = "ThresholdedReLU"
            item["config"] = {"name": item["name"], "trainable": True, "dtype": "float32", "theta": 0.25}
    renumbered = json.dumps(config)
    for item in config["config"]["layers"]:
        if item["class_name"] == "Sequential":
            renumbered = renumbered.replace(f'["{item["name"]}", 0, 0', f'["{item["name"]}", 1, 0')
    return json.loads(renumbered)


@pytest.mark.parametrize("build", [various, preprocessed])
def test_settings_that_keras_3_reads_otherwise(build: Callable[[], keras.Model], tmp_path: Path):
    built = build_random(build)
    path = keras2_files.edit(keras2_files.save(built, tmp_path / "model.h5"), with_settings_of_keras_2)
    model = load.load_file(path, {"cut": lambda y: y[..., :3]}, trust=False)
    x = samples(built)
    (answer,) = keras.tree.flatten(tf.function(lambda values: model([values], training=False))(tf.constant(x)))
    expected = np.digitize(x, [0.2, 0.6]) if build is preprocessed else built(x)
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)


def with_nodes() -> keras.Model:
    """What the nodes compute, by operations of Keras 3: scaled pixels, placed, joined and averaged."""
    inputs = keras.Input((4, 4, 4), name="a")
    scaled = layers.Rescaling(0.5, name="scaled")(inputs)
    placed = layers.Identity(name="placed")(scaled)
    joined = layers.Concatenate(name="joined")([scaled, placed])
    return keras.Model(inputs, layers.Identity(name="averaged")(joined))


def node(layer: dict, operator: str, constants: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Turn a layer of a configuration into one that TensorFlow 2.1 wrote for an operator."""
    attributes = {"T": {"type": "DT_FLOAT"}, **attributes}
    definition = {"name": operator, "op": operator, "input": ["x"], "attr": attributes}
    layer["class_name"] = "TensorFlowOpLayer"
    config = {"name": layer["name"], "trainable": True, "dtype": "float32"}
    layer["config"] = {**config, "node_def": definition, "constants": constants}


def test_nodes_of_a_tensorflow_graph_as_layers(tmp_path: Path, out: Path):
    integers = {"Tidx": {"type": "DT_INT32"}}
    nodes = {
        "scaled": ("Mul", {"1": 0.5}, {}),
        "placed": ("ReverseV2", {"1": [1]}, integers),
        "joined": ("ConcatV2", {"2": -1}, {"N": {"i": "2"}, **integers}),
        "averaged": ("Mean", {"1": [1, 2]}, {"keep_dims": {"b": True}, **integers}),
    }

    def edit(config: dict) -> dict:
        for layer in config["config"]["layers"]:
            if layer["name"] in nodes:
                node(layer, *nodes[layer["name"]])
        return config

    path = keras2_files.edit(keras2_files.save(with_nodes(), tmp_path / "model.h5"), edit)
    files.check_file(path, trust=False)
    model = load_file(path)
    values = np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype("f")
    expected = np.concatenate([values / 2, values[:, ::-1] / 2], -1).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(model(values), expected, rtol=1e-5, atol=1e-6)
    model.save(out / runtime.FILE)  # as every later stage reads it
    np.testing.assert_allclose(keras.tree.flatten(runtime.open_model(out)([values]))[0], expected, rtol=1e-5, atol=1e-6)


def test_a_node_that_reaches_out_is_not_run(tmp_path: Path):
    def reading(config: dict) -> dict:
        node(next(layer for layer in config["config"]["layers"] if layer["name"] == "scaled"), "ReadFile", {}, {})
        return config

    path = keras2_files.edit(keras2_files.save(with_nodes(), tmp_path / "model.h5"), reading)
    for refuse in (load_file, lambda path: files.check_file(path, trust=False)):
        with pytest.raises(CrossquantError, match="layer 'scaled' calls ReadFile, which isn't known to only compute"):
            refuse(path)


def test_what_keras_3_can_not_do_is_not_dropped(tmp_path: Path):
    def other(config: dict) -> dict:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 2
        return config

    path = keras2_files.edit(keras2_files.save(build_random(convolutions), tmp_path / "model.h5"), other)
    with pytest.raises(CrossquantError) as caught:
        load_file(path)
    assert "groups" in str(caught.value)


@pytest.mark.skipif(REFERENCE is None, reason="the file of MLPerf Tiny is not here")
def test_a_real_file_of_keras_2():
    assert REFERENCE is not None
    with h5py.File(REFERENCE) as file:
        assert file.attrs["keras_version"] == "2.4.0"
        assert "optimizer_weights" in file
    model = load_file(REFERENCE)
    assert model.count_params() == 78_666
    answer = model(tf.zeros((2, 32, 32, 3))).numpy()
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-5)
