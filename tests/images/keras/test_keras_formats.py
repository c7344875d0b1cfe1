"""Every form in which a user may bring a model: its answers, their order, and the batch sizes that it takes."""

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from images.keras import load
from images.keras.model import runtime
from shared.data import samples, signature
from shared.data.signature import Tensor
from shared.errors import CrossquantError
from shared.measure.fixed_batch import in_batches_of

Batch = tuple[np.ndarray, ...]


def write_dataset(folder: Path, arrays: Batch, dtypes: tuple[str, ...] = (), labels: np.ndarray | None = None) -> Path:
    """A data set of these inputs; without labels it is judged by fidelity alone."""
    folder.mkdir()
    for number, array in enumerate(arrays):
        np.save(folder / f"input_{number}.npy", array)
    task = "fidelity" if labels is None else "classification"
    facts = samples.summarize_labels(labels)
    about = {"task": task, "dtypes": list(dtypes), "labels": facts and asdict(facts)}
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def two_ways() -> keras.Model:
    """Inputs and outputs whose names sort the other way round."""
    one, two = keras.Input((5,), name="zeta"), keras.Input((3,), name="alpha")
    x = layers.Concatenate()([layers.Dense(4)(one), two])
    return keras.Model([one, two], [layers.Dense(2, name="second")(x), layers.Dense(1, name="first")(x)])


def dicts() -> keras.Model:
    plain = two_ways()
    one, two = plain.inputs
    return keras.Model({"zeta": one, "alpha": two}, {"second": plain.outputs[0], "first": plain.outputs[1]})


def pair(count: int = 3) -> Batch:
    random = np.random.default_rng(0)
    return random.normal(size=(count, 5)).astype("f"), random.normal(size=(count, 3)).astype("f")


@pytest.fixture(autouse=True)
def same_weights() -> None:
    keras.utils.set_random_seed(0)


def load_signature(
    source: Path, out: Path, arrays: Batch, dtypes: tuple[str, ...] = (), trust: bool = False
) -> signature.Signature:
    load.run(source, write_dataset(out.with_name("data"), arrays, dtypes), out, trust=trust)
    return signature.load(out)


def answers(folder: Path, batch: Batch) -> Batch:
    """As the stages get them; TensorFlow's threads are fixed in this process already."""
    opened = runtime.open_model(folder)
    traced = runtime.trace_model(opened)

    def call(part: Batch) -> Batch:
        return tuple(item.numpy() for item in traced.function(*part))

    return call(batch) if traced.batch is None else in_batches_of(traced.batch, call)(batch)


def assert_close(outputs: Batch, expected: list) -> None:
    assert len(outputs) == len(expected)
    for output, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, np.asarray(other), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["mein Modell ü.keras", "mein Modell ü.h5"])
def test_inputs_and_outputs_keep_their_order(name: str, source: Path, out: Path):
    built = two_ways()
    built.save(source / name)
    ends = load_signature(source, out, pair())
    assert ends.inputs == (Tensor("zeta", "float32", (5,), (5,)), Tensor("alpha", "float32", (3,), (3,)))
    assert ends.outputs == (Tensor("second", "float32", (2,)), Tensor("first", "float32", (1,)))
    assert_close(answers(out, pair()), built(list(pair())))


def test_a_saved_model_keeps_the_order_too(source: Path, out: Path):
    built = two_ways()
    built.export(source / "exportiert", verbose=False)
    ends = load_signature(source, out, pair())
    assert [tensor.name for tensor in ends.inputs] == ["zeta", "alpha"]
    assert [tensor.shape for tensor in ends.outputs] == [(2,), (1,)]
    assert (out / "model.saved" / "saved_model.pb").exists()
    assert_close(answers(out, pair()), built(list(pair())))


def test_a_saved_model_may_be_the_folder_itself(source: Path, out: Path):
    built = two_ways()
    built.export(source, verbose=False)
    load_signature(source, out, pair())
    assert_close(answers(out, pair()), built(list(pair())))


def test_dicts_become_lists_in_the_order_of_their_keys(source: Path, out: Path):
    built = dicts()
    built.save(source / "model.keras")
    one, two = pair()
    assert [tensor.name for tensor in load_signature(source, out, (two, one)).inputs] == ["alpha", "zeta"]
    expected = built({"zeta": one, "alpha": two})
    assert_close(answers(out, (two, one)), [expected["first"], expected["second"]])


def test_whole_numbers_stay_what_they_are(source: Path, out: Path):
    pixels, tokens = keras.Input((4, 4, 3), dtype="uint8"), keras.Input((6,), dtype="int32")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(pixels))
    y = layers.GlobalAveragePooling1D()(layers.Embedding(20, 4)(tokens))
    built = keras.Model([pixels, tokens], layers.Dense(2)(layers.Concatenate()([x, y])))
    built.save(source / "model.keras")
    arrays = (np.full((3, 4, 4, 3), 200, "uint8"), np.arange(18, dtype="int32").reshape(3, 6))
    ends = load_signature(source, out, arrays, ("uint8", "int32"))
    assert [tensor.dtype for tensor in ends.inputs] == ["uint8", "int32"]
    assert_close(answers(out, arrays), [built(list(arrays))])


def test_a_fixed_batch_is_made_dynamic_where_the_layers_allow_it(source: Path, out: Path):
    inputs = keras.Input(batch_shape=(1, 8, 8, 3))
    built = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(inputs))))
    built.save(source / "model.keras")
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("f")
    assert load_signature(source, out, (images,)).batch is None
    assert_close(answers(out, (images,)), [np.concatenate([built(images[n : n + 1]) for n in range(5)])])


class Sums(layers.Layer):
    """A layer that counts on its batch."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.ops.reshape(x, (4, -1))


SUMS = """
import keras

class Sums(keras.layers.Layer):
    def call(self, x):
        return keras.ops.reshape(x, (4, -1))
"""


def test_a_batch_that_is_part_of_the_graph_is_filled_up(source: Path, out: Path):
    inputs = keras.Input(batch_shape=(4, 2, 3))
    built = keras.Model(inputs, layers.Dense(2)(Sums()(inputs)))
    built.save(source / "model.keras")
    (source / "custom_objects.py").write_text(SUMS)
    rows = np.random.default_rng(0).normal(size=(6, 2, 3)).astype("f")
    assert load_signature(source, out, (rows,)).batch == 4
    expected = np.concatenate([built(rows[:4]), built(np.concatenate([rows[4:], rows[:2]]))[:2]])
    assert_close(answers(out, (rows,)), [expected])


def test_the_optimizer_is_left_behind(source: Path, out: Path):
    built = two_ways()
    built.compile("adam", ["mse", "mse"])
    built.fit(list(pair()), [np.zeros((3, 2)), np.zeros((3, 1))], verbose=0)
    built.save(source / "model.keras")
    load_signature(source, out, pair())
    assert not keras.models.load_model(out / "model.keras").compiled
    assert (out / "model.keras").stat().st_size < (source / "model.keras").stat().st_size


def test_a_subclass_that_was_built_gets_its_input(source: Path, out: Path):
    code = """
import keras

@keras.saving.register_keras_serializable()
class Own(keras.Model):
    def __init__(self, **more):
        super().__init__(**more)
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)
"""
    space: dict = {"__name__": "their_file"}
    exec(code, space)
    built = space["Own"]()
    rows = np.ones((3, 5), "f")
    expected = built(rows)
    built.save(source / "model.keras")
    (source / "custom_objects.py").write_text(code)
    load_signature(source, out, (rows,))
    assert_close(answers(out, (rows,)), [expected])


def test_a_saved_model_with_state_answers_by_what_came_before(source: Path, out: Path):
    """As TensorFlow writes a stateful LSTM: in a function that the signature calls."""
    program = tf.Module()
    program.memory = tf.Variable(tf.zeros((1, 5)))
    program.weight = tf.Variable(tf.ones((5, 2)))

    @tf.function
    def remember(x: tf.Tensor) -> tf.Tensor:
        return program.memory.assign_add(x)

    @tf.function(input_signature=[tf.TensorSpec((1, 5), tf.float32, name="x")])
    def answer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: remember(x), lambda: x) @ program.weight}

    tf.saved_model.save(program, str(source / "model"), signatures={"serving_default": answer})
    with pytest.raises(CrossquantError) as caught:
        load_signature(source, out, pair()[:1])
    assert str(caught.value) == (
        "the SavedModel changes its own variables as it answers (AssignAddVariableOp), its answer depends on the batch "
        "before: save it without state, a recurrent layer with stateful=False"
    )


def test_a_stateful_layer_answers_by_what_came_before(source: Path, out: Path):
    inputs = keras.Input(batch_shape=(2, 4, 3))
    keras.Model(inputs, layers.LSTM(2, stateful=True, name="memory")(inputs)).save(source / "model.keras")
    with pytest.raises(CrossquantError) as caught:
        load_signature(source, out, (np.zeros((4, 4, 3), "f"),))
    assert str(caught.value) == (
        "layer 'memory' is stateful, its answer depends on the batch before: save the model with stateful=False"
    )
