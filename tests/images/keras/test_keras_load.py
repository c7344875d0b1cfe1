"""Loading: a user's file is a model for the data set, or one line says why it isn't."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from images.keras import load
from images.keras.model import runtime as callable_model
from images.keras.model import sizes
from shared.artifacts import notes
from shared.data import signature
from shared.errors import CrossquantError
from tests.images.keras import keras_models as models
from tests.images.keras.load_errors import load_error
from tests.images.sample_folders import save_samples

THREADS = """
import json, os, sys
from pathlib import Path
import numpy
from images.keras.model.runtime import load
from shared.runner import threads
def started(count):
    readable, writable = os.pipe()
    if os.fork() == 0:
        before = threads.running()
        load(Path(sys.argv[1]), count)((numpy.zeros((64, 8, 8, 3), numpy.float32),))
        os.write(writable, str(threads.running() - before).encode())
        os._exit(0)
    os.close(writable)
    return int(os.read(readable, 64))
print(json.dumps([started(1), started(4)]))
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Images of the models' shape, of ten classes."""
    about = {"labels": {"shape": [], "low": 0, "high": models.CLASSES - 1}}
    return save_samples(tmp_path / "dataset", np.zeros((20, *models.SHAPE), np.uint8), about=about)


def dense(
    shape: tuple[int | None, ...] = models.SHAPE, classes: int = models.CLASSES, dtype: str = "float32"
) -> keras.Model:
    inputs = keras.Input(shape, dtype=dtype, name="x")
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(layers.Rescaling(0.1)(inputs))))


def two_inputs() -> keras.Model:
    one, two = keras.Input(models.SHAPE, name="one"), keras.Input(models.SHAPE, name="two")
    return keras.Model([one, two], layers.Dense(10)(layers.Flatten()(layers.Add()([one, two]))))


def feature_map() -> keras.Model:
    inputs = keras.Input(models.SHAPE)
    return keras.Model(inputs, layers.Conv2D(10, 1)(inputs))


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_both_formats_load_with_the_same_answers(name: str, source: Path, dataset: Path, out: Path):
    model = models.flatten_after_pooling()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(source / name)
    load.run(source, dataset, out, trust=False)
    kept = keras.models.load_model(out / "model.keras")
    images = models.images(3)
    np.testing.assert_array_equal(kept(images).numpy(), model(images).numpy())
    assert not kept.compiled


def test_any_size_of_images_and_more_classes_than_needed_fit(source: Path, dataset: Path, out: Path):
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, layers.Dense(11)(layers.GlobalAveragePooling2D()(inputs))).save(source / "model.keras")
    load.run(source, dataset, out, trust=False)
    assert (out / "model.keras").exists()


def pair() -> keras.Model:
    """Which Keras gives its inputs in the order of the alphabet: candidate, query."""
    query, candidate = keras.Input((4,), name="query"), keras.Input((4,), name="candidate")
    answer = layers.Dense(2, kernel_initializer="ones")(layers.Subtract()([query, candidate]))
    return keras.Model({"query": query, "candidate": candidate}, {"score": answer})


@pytest.mark.parametrize("form", ["keras", "saved model"])
def test_inputs_take_the_arrays_of_their_names(form: str, source: Path, tmp_path: Path, out: Path):
    built = pair()
    _ = built.save(source / "model.keras") if form == "keras" else built.export(source, verbose=False)
    arrays = {"query": np.ones((5, 4), "f"), "candidate": np.zeros((5, 4), "f")}
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number, array in enumerate(arrays.values()):
        np.save(folder / f"input_{number}.npy", array)
    (folder / "about.json").write_text(json.dumps({"task": "fidelity", "inputs": list(arrays)}))
    load.run(source, folder, out, trust=False)
    assert [item.name for item in signature.load(out).inputs] == ["query", "candidate"]
    predict = callable_model.trace_model(callable_model.open_model(out)).as_callable()
    assert (predict(tuple(arrays.values()))[0] == 4).all()
    assert not (out / notes.FILE).exists()


def test_inputs_without_names_take_arrays_in_their_order_and_a_note_says_so(source: Path, tmp_path: Path, out: Path):
    pair().save(source / "model.keras")
    load.run(source, models.write_samples(pair(), tmp_path / "pairs"), out, trust=False)
    [note] = json.loads((out / notes.FILE).read_text())
    assert note.endswith(": candidate takes array 0, query takes array 1")


def test_a_model_that_is_traced_for_known_sizes_alone_gets_those_of_the_data(source: Path, dataset: Path, out: Path):
    built = models.upsampled()
    built.save(source / "model.keras")
    load.run(source, dataset, out, trust=False)
    opened = callable_model.open_model(out)
    assert opened.inputs[0].shape == (None, *models.SHAPE)
    assert json.loads((out / notes.FILE).read_text()) == [sizes.FIXED.format("8 x 8 x 3")]
    images = models.images(3)
    predict = callable_model.trace_model(opened).as_callable()
    np.testing.assert_allclose(predict((images,))[0], built(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("names", [[], ["model.txt"], ["one.keras", "two.h5"]], ids=["none", "text", "two"])
def test_not_exactly_one_model_file(names: list[str], source: Path, dataset: Path, out: Path):
    for name in names:
        (source / name).write_text("")
    assert load_error(source, dataset, out) == "the model must be one .keras, .h5 file or SavedModel folder"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: dense((9, 9, 3)),
            "input 'x' of the model takes (9, 9, 3), the data set has (8, 8, 3): set data.resize: [9, 9]",
        ),
        (
            lambda: dense((192,)),
            "input 'x' of the model takes (192,), the data set has (8, 8, 3): the number of values is right, "
            "reshape the data",
        ),
        (
            lambda: dense((3, 8, 8)),
            "input 'x' of the model takes (3, 8, 8), the data set has (8, 8, 3)"
            ": channels first and last are swapped, set the data's layout",
        ),
        (lambda: dense(classes=9), "the model answers (9,), the data set has 10 classes: fix the labels"),
        (
            feature_map,
            "the model answers (8, 8, 10), the data set has 10 classes: set the data.task that the model has",
        ),
        (two_inputs, "the model has 2 inputs (one (8, 8, 3), two (8, 8, 3)), the data set has 1"),
    ],
    ids=["shape", "rank", "layout", "classes", "feature map", "two inputs"],
)
def test_a_model_that_is_not_one_for_the_images(
    build: Callable[[], keras.Model], message: str, source: Path, dataset: Path, out: Path
):
    build().save(source / "model.keras")
    assert load_error(source, dataset, out) == message


@pytest.mark.parametrize("name", ["my layer", "größe", 'x" if print("ran") else "x'])
def test_a_layer_name_that_tensorflow_does_not_take(name: str, source: Path, dataset: Path, out: Path):
    inputs = keras.Input(models.SHAPE)
    pooled = layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, layers.Dense(models.CLASSES, name=name)(pooled)).save(source / "model.keras")
    assert load_error(source, dataset, out) == (
        f"layer '{name}' has a name that TensorFlow doesn't take: "
        "name it by letters, digits and _ . - alone, and save the model again"
    )


def test_a_model_that_was_never_built(source: Path, dataset: Path, out: Path):
    keras.Sequential([layers.Flatten(), layers.Dense(10)]).save(source / "model.keras")
    assert "input" in load_error(source, dataset, out)


def noise(_: bytes) -> bytes:
    return b"this is no model"


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def one_byte_changed(whole: bytes) -> bytes:
    position = len(whole) * 2 // 3
    return whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.keras", noise),
        ("model.keras", cut),
        ("model.keras", one_byte_changed),
        ("model.h5", noise),
        ("model.h5", cut),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_damaged_file(name: str, damage: Callable[[bytes], bytes], source: Path, dataset: Path, out: Path):
    models.residual().save(source / name)
    (source / name).write_bytes(damage((source / name).read_bytes()))
    message = load_error(source, dataset, out)
    assert message.startswith(f"Keras {keras.__version__} can't load {name}: ")
    assert "File not found" not in message  # it is there


def test_an_archive_that_is_no_model(source: Path, dataset: Path, out: Path):
    with zipfile.ZipFile(source / "model.keras", "w") as archive:
        archive.writestr("other.txt", "")
    message = load_error(source, dataset, out)
    assert message.startswith(f"Keras {keras.__version__} can't load model.keras: ")
    assert "config.json" in message


def test_threads_that_can_not_take_effect_any_more_are_refused(tmp_path: Path):
    """TensorFlow fixes its threads with the first operator of a process."""
    folder = models.save(models.residual, tmp_path)
    tf.constant(1) + 1
    other = tf.config.threading.get_intra_op_parallelism_threads() + 1
    with pytest.raises((CrossquantError, RuntimeError)) as caught:
        callable_model.load(folder, other)
    assert "thread" in str(caught.value) or "Intra op parallelism cannot be modified" in str(caught.value)


def test_tensorflow_starts_the_threads_asked_for(tmp_path: Path):
    """In forks of one process that has imported TensorFlow, as stages run; the environment asks for others."""
    folder = models.save(models.flatten_after_pooling, tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TF_NUM_INTRAOP_THREADS": "7"}
    command = [sys.executable, "-c", THREADS, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    one, four = json.loads(done.stdout)
    assert four - one == 3
