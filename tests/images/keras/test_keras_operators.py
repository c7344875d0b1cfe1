"""Layers that converters often fail on: the ONNX file answers as Keras does, in operators that frameworks support."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from onnx.reference import ReferenceEvaluator

from images.keras import export
from images.keras.export import handlers, recurrent
from images.keras.export.canonical import canonicalize
from images.keras.model.runtime import flatten_ends, open_model, trace_model
from shared.data import examples
from tests.images.keras.keras_models import write_samples

Build = Callable[[], keras.Model]
NOT_EVALUATED = {"GRU", "LSTM", "Loop", "GlobalMaxPool"}  # ONNX's own evaluator can't run them as they are used here


def ended(inputs: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
    return keras.Model(inputs, layers.Dense(3)(x))


def attention() -> keras.Model:
    inputs = keras.Input((6, 8))
    x = layers.LayerNormalization()(inputs)
    x = layers.Add()([inputs, layers.MultiHeadAttention(2, 4)(x, x)])
    return ended(inputs, layers.GlobalAveragePooling1D()(layers.Dense(8, activation="gelu")(x)))


def gru() -> keras.Model:
    inputs = keras.Input((5, 4))
    return ended(inputs, layers.GRU(3)(layers.GRU(4, return_sequences=True)(inputs)))


def both_ways() -> keras.Model:
    inputs = keras.Input((5, 4))
    return ended(
        inputs, layers.Bidirectional(layers.GRU(3))(layers.Bidirectional(layers.LSTM(2, return_sequences=True))(inputs))
    )


def lstm() -> keras.Model:
    inputs = keras.Input((None, 4))
    return ended(inputs, layers.LSTM(3)(inputs))


def simple() -> keras.Model:
    inputs = keras.Input((4, 3))
    return ended(inputs, layers.SimpleRNN(2)(inputs))


def masked() -> keras.Model:
    inputs = keras.Input((4,), dtype="int32")
    return ended(inputs, layers.LSTM(2)(layers.Embedding(9, 3, mask_zero=True)(inputs)))


def convolved() -> keras.Model:
    inputs = keras.Input((2, 6, 6, 1))
    return ended(inputs, layers.Flatten()(layers.ConvLSTM2D(2, 3)(inputs)))


def loop() -> keras.Model:
    inputs = keras.Input((None, 3))
    return ended(inputs, layers.SimpleRNN(2)(inputs))


def masked_both_ways() -> keras.Model:
    """Where Keras unrolls the layer that goes backwards, its mask is in the other order."""
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 3, mask_zero=True)(inputs)
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(x)
    return ended(inputs, layers.GRU(3, go_backwards=True)(layers.GRU(2, return_sequences=True)(x)))


def grouped() -> keras.Model:
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, groups=4, padding="same", activation="relu")(inputs)
    x = layers.Conv1D(4, 3, groups=2)(layers.Reshape((36, 8))(x))
    return ended(inputs, layers.GlobalAveragePooling1D()(x))


def volumes() -> keras.Model:
    inputs = keras.Input((2, 4, 4, 4))
    x = layers.Conv3D(3, 3, data_format="channels_first", padding="same")(inputs)
    return ended(inputs, layers.Flatten()(x))


def resized() -> keras.Model:
    inputs = keras.Input((36, 30, 2))
    resizings = [layers.Resizing(20, 17, interpolation=kind) for kind in ("bilinear", "nearest")]
    return keras.Model(inputs, [layer(inputs) for layer in resizings])


def upwards_unevenly() -> keras.Model:
    inputs = keras.Input((4, 5, 2))
    return keras.Model(inputs, layers.Conv2DTranspose(3, 3, strides=2, output_padding=(1, 0))(inputs))


def sequence() -> keras.Model:
    inputs = keras.Input((16, 3))
    return ended(
        inputs, layers.GlobalMaxPooling1D()(layers.MaxPooling1D()(layers.Conv1D(4, 3, padding="causal")(inputs)))
    )


def upwards() -> keras.Model:
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2DTranspose(2, 3, 2, padding="same")(layers.SeparableConv2D(3, 3, padding="same")(inputs))
    return keras.Model(inputs, layers.UpSampling2D(2)(x))


def channels_first(data_format: str = "channels_first") -> keras.Model:
    inputs = keras.Input((2, 6, 6) if data_format == "channels_first" else (6, 6, 2))
    x = layers.Conv2D(3, 3, data_format=data_format, padding="same")(inputs)
    return ended(inputs, layers.GlobalAveragePooling2D(data_format=data_format)(x))


def activations() -> keras.Model:
    inputs = keras.Input((4,))
    kinds = ("gelu", "silu", "hard_silu", "hard_sigmoid", "mish", "softplus", "elu", "selu", "exponential", "relu6")
    return ended(inputs, layers.Concatenate()([layers.Dense(2, activation=kind)(inputs) for kind in kinds]))


def two() -> keras.Model:
    one, other = keras.Input((4,), name="zeta"), keras.Input((6,), dtype="int32", name="alpha")
    x = layers.Concatenate()([one, layers.GlobalAveragePooling1D()(layers.Embedding(9, 3)(other))])
    return keras.Model([one, other], [layers.Dense(2, name="second")(x), layers.Dense(1, name="first")(x), one])


BUILDERS = (
    *(attention, gru, both_ways, lstm, simple, masked, convolved, loop, sequence, upwards, channels_first),
    *(activations, two, masked_both_ways, grouped, volumes, resized, upwards_unevenly),
)
every_model = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)


def build_flat(build: Build) -> keras.Model:
    """Weights that are no zeros, and don't repeat."""
    keras.utils.set_random_seed(0)
    built = flatten_ends(build())
    random = np.random.default_rng(0)
    for weight in built.weights:
        if "float" in str(weight.dtype):
            weight.assign(random.uniform(-0.5, 0.5, weight.shape))
    return built


def batch(built: keras.Model, count: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(1)
    shapes = [(count, *(size or 7 for size in tensor.shape[1:])) for tensor in built.inputs]
    return tuple(
        random.integers(0, 4, shape).astype(tensor.dtype)
        if tensor.dtype == "int32"
        else random.normal(size=shape).astype("f")
        for shape, tensor in zip(shapes, built.inputs, strict=True)
    )


def answers(model: onnx.ModelProto, arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    names = [item.name for item in model.graph.input]
    return ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))


def kinds(model: onnx.ModelProto) -> Counter:
    return Counter(node.op_type for node in export.all_nodes(model.graph))


def expected_of(built: keras.Model, build: Build, arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """What Keras answers. TensorFlow has a convolution with its channels first only where oneDNN is on by itself,
    which is on CPUs with VNNI: the same weights answer with the channels last.
    """
    if build is not channels_first:
        return [item.numpy() for item in trace_model(built).function(*arrays)]
    last = flatten_ends(channels_first("channels_last"))
    last.set_weights(built.get_weights())
    return [item.numpy() for item in trace_model(last).function(*(array.transpose(0, 2, 3, 1) for array in arrays))]


@every_model
def test_the_file_answers_as_keras_does(build: Build):
    built = build_flat(build)
    expected = {count: expected_of(built, build, batch(built, count)) for count in (1, 3)}
    graph, _ = export.convert(built, 17)
    export.check_model(graph)
    for count, wanted in expected.items():
        if NOT_EVALUATED & kinds(graph).keys():
            continue
        outputs = answers(graph, batch(built, count))
        assert len(outputs) == len(wanted)
        for output, other in zip(outputs, wanted, strict=True):
            assert np.abs(output - other).max() <= 1e-4 * max(1, np.abs(other).max())


@pytest.mark.parametrize(
    "build", [attention, gru, both_ways, simple, sequence, convolved, resized], ids=lambda build: build.__name__
)
def test_no_shape_is_computed(build: Build):
    graph, _ = export.convert(build_flat(build), 17)
    assert not {"Shape", "Loop", "Expand", "ReduceProd"} & kinds(graph).keys()


def test_recurrent_layers_become_one_operator_each():
    assert kinds(export.convert(build_flat(gru), 17)[0])["GRU"] == 2
    counts = kinds(export.convert(build_flat(both_ways), 17)[0])
    assert (counts["GRU"], counts["LSTM"]) == (1, 1)
    assert kinds(export.convert(build_flat(lstm), 17)[0])["LSTM"] == 1


def test_the_notes_name_unrolled_layers(tmp_path: Path, out: Path):
    build_flat(simple).save(tmp_path / "model.keras")
    export.run(tmp_path, write_samples(simple(), tmp_path / "dataset"), out, opset=17)
    assert json.loads((out / "notes.json").read_text()) == [export.UNROLLED]


@pytest.mark.parametrize(
    ("build", "name", "broken", "rewrite"),
    [
        (masked_both_ways, "read_backwards", lambda layer, loop: loop, export.UNROLLING),
        (
            gru,
            "make_gru_call",
            lambda biases: lambda self, inputs, states, training=False: (states[0], states),
            export.GATES,
        ),
    ],
)
def test_a_rewrite_that_changes_answers_is_undone(
    build: Build, name: str, broken: Callable, rewrite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    built = build_flat(build)
    example = export.answer_samples(built, trace_model(built), write_samples(built, tmp_path / "dataset", samples=40))
    monkeypatch.setattr(recurrent, name, broken)
    _, notes = export.convert(built, 17, example=example)
    assert notes[0].startswith(export.UNDONE.partition("{}")[0] + rewrite)
    assert examples.difference(example, trace_model(built).as_callable()) == ""


@pytest.mark.parametrize("target", [17, 28, 32, 48, 64, 96, 100, 128, 224, 299])
def test_a_scale_reaches_its_size_in_any_precision(target: int):
    for size in range(1, 400):
        scale = handlers.scale_to_reach(size, target)
        assert np.floor(np.float32(size) * scale) == np.floor(size * float(scale)) == target
        np.testing.assert_allclose(scale, target / size, rtol=1e-6)


@pytest.mark.parametrize("half", [True, False])
def test_the_nearest_pixels_are_those_of_tensorflow(half: bool):
    for size, target in itertools.product(range(1, 70, 3), range(1, 70)):
        image = tf.reshape(tf.range(size, dtype=tf.int32), (1, size, 1, 1))
        expected = tf.raw_ops.ResizeNearestNeighbor(images=image, size=[target, 1], half_pixel_centers=half)
        np.testing.assert_array_equal(handlers.nearest_pixels(size, target, half), expected.numpy().ravel())


def test_a_loop_is_kept_where_its_length_is_unknown():
    graph, notes = export.convert(build_flat(loop), 17)
    assert notes == [export.LOOP]
    assert kinds(graph)["Loop"] == 1
    assert canonicalize(graph).SerializeToString() == graph.SerializeToString()


def test_the_types_and_the_order_of_inputs_and_outputs_stay():
    graph = export.convert(build_flat(two), 17)[0].graph
    types = [item.type.tensor_type.elem_type for item in graph.input]
    assert types == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT32]
    assert [item.name for item in graph.input] == ["zeta", "alpha"]
    assert [item.name for item in graph.output] == ["second", "first", "zeta_1"]
    assert [item.type.tensor_type.shape.dim[1].dim_value for item in graph.output] == [2, 1, 4]


def test_a_saved_model_is_exported_as_its_model_is(tmp_path: Path):
    built = build_flat(two)
    built.export(tmp_path / "model.saved", verbose=False)
    opened = open_model(tmp_path)
    graph, _ = export.convert(opened, 17)
    export.check_model(graph)
    arrays = batch(built, 3)
    for output, other in zip(answers(graph, arrays), built(list(arrays)), strict=True):
        np.testing.assert_allclose(output, other, rtol=1e-4, atol=1e-5)
    assert [item.name for item in graph.graph.input] == ["zeta", "alpha"]
