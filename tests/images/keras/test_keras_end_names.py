"""The ONNX file's inputs and outputs have the names that the model has for them, whatever these are."""

import json
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from onnx.reference import ReferenceEvaluator

from images.keras import export, load
from images.keras.model import end_names
from shared.data import signature

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype("f")


def write_dataset(folder: Path, count: int, names: tuple[str, ...] = ()) -> Path:
    folder.mkdir()
    for number in range(count):
        np.save(folder / f"input_{number}.npy", ROWS + number)
    (folder / "about.json").write_text(json.dumps({"task": "fidelity", "inputs": list(names)}))
    return folder


def export_file(built: keras.Model, tmp_path: Path, names: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Load and export the model; the answers of the file must be those of the model."""
    for name in ("source", "keras.fp32", "exported"):
        (tmp_path / name).mkdir()
    if (tmp_path / "saved").exists():
        (tmp_path / "saved").rename(tmp_path / "source" / "saved")
    else:
        built.save(tmp_path / "source" / "my.keras")
    dataset = write_dataset(tmp_path / "dataset", len(built.inputs), names)
    load.run(tmp_path / "source", dataset, tmp_path / "keras.fp32", trust=False)
    export.run(tmp_path / "keras.fp32", dataset, tmp_path / "exported", opset=17)
    model = onnx.load(tmp_path / "exported" / "model.onnx")
    ends = signature.load(tmp_path / "exported")
    assert [tensor.name for tensor in ends.inputs] == [item.name for item in model.graph.input]
    assert [tensor.name for tensor in ends.outputs] == [item.name for item in model.graph.output]
    return model


def answers(model: onnx.ModelProto, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    names = [item.name for item in model.graph.output]
    return dict(zip(names, ReferenceEvaluator(model).run(None, inputs), strict=True))


def ends(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    return [item.name for item in model.graph.input], [item.name for item in model.graph.output]


def pair(one: str, two: str) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    return keras.Input((4,), name=one), keras.Input((4,), name=two)


def test_inputs_are_named_as_in_the_model(tmp_path: Path):
    one, two = pair("image", "age")
    outputs = [layers.Dense(3, name="class")(one), layers.Subtract(name="gap")([one, two])]
    model = export_file(keras.Model([one, two], outputs), tmp_path)
    assert ends(model) == (["image", "age"], ["class", "gap"])
    np.testing.assert_allclose(answers(model, image=ROWS, age=ROWS + 1)["gap"], -1, atol=1e-6)


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_the_keys_of_dictionaries_are_the_names(tmp_path: Path):
    """Keras sorts them, and the keys may be other names than those of the tensors."""
    one, two = pair("zeta", "alpha")
    outputs = {"z": layers.Subtract()([one, two]), "a": layers.Dense(2)(two)}
    model = export_file(keras.Model({"first": two, "second": one}, outputs), tmp_path)
    assert ends(model) == (["first", "second"], ["a", "z"])
    np.testing.assert_allclose(answers(model, second=ROWS, first=ROWS + 1)["z"], -1, atol=1e-6)


def test_arrays_in_another_order_keep_the_names_of_their_inputs(tmp_path: Path):
    one, two = pair("zeta", "alpha")
    outputs = {"gap": layers.Subtract()([one, two]), "class": layers.Dense(2)(two)}
    model = export_file(keras.Model({"zeta": one, "alpha": two}, outputs), tmp_path, ("zeta", "alpha"))
    assert ends(model) == (["zeta", "alpha"], ["class", "gap"])
    np.testing.assert_allclose(answers(model, zeta=ROWS, alpha=ROWS + 1)["gap"], -1, atol=1e-6)


@pytest.mark.parametrize("names", [(), ("zeta", "alpha"), ("alpha", "zeta")])
def test_a_saved_model_keeps_the_names_of_its_signature(names: tuple[str, ...], tmp_path: Path):
    one, two = pair("zeta", "alpha")
    built = keras.Model([one, two], {"gap": layers.Subtract()([one, two]), "class": layers.Dense(2)(two)})
    built.export(tmp_path / "saved", verbose=False)
    model = export_file(built, tmp_path, names)
    assert ends(model) == (list(names) or ["zeta", "alpha"], ["class", "gap"])
    np.testing.assert_allclose(answers(model, zeta=ROWS, alpha=ROWS + 1)["gap"], -1, atol=1e-6)


@pytest.mark.parametrize("name", ["a b", "z:$ü", "it's", 'say "hi"', "<in>&", "Gemm_0_output_0", "output_0", "x" * 300])
def test_any_name_that_can_be_shown_stays(name: str, tmp_path: Path):
    inputs = keras.Input((4,), name=name)
    x = layers.Dense(3, name="input_0")(layers.Dense(5)(inputs))
    model = export_file(keras.Model(inputs, x), tmp_path)
    assert ends(model) == ([name], ["input_0"])
    assert answers(model, **{name: ROWS})["input_0"].shape == (6, 3)
    names = [output for node in model.graph.node for output in node.output]
    assert len({*names, name}) == len(names) + 1


@pytest.mark.parametrize("name", ["a\x1bb", "a\nb", "a\u202eb"])
def test_a_name_that_can_not_be_shown_gets_another(name: str, tmp_path: Path):
    inputs = keras.Input((4,), name=name)
    [shown], _ = ends(export_file(keras.Model(inputs, layers.Dense(3)(inputs)), tmp_path))
    assert shown == "a b"


def test_equal_names_are_told_apart(tmp_path: Path):
    """An output may be an input, or given twice; a layer's outputs all have its name."""
    inputs = keras.Input((4,), name="x")
    y = layers.Dense(3, name="y")(inputs)
    _, state, more = layers.LSTM(2, return_state=True, name="memory")(layers.Reshape((2, 2))(inputs))
    model = export_file(keras.Model(inputs, [inputs, y, y, state, more]), tmp_path)
    assert ends(model) == (["x"], ["x_1", "y", "y_1", "memory", "memory_1"])
    results = answers(model, x=ROWS)
    np.testing.assert_array_equal(results["x_1"], ROWS)
    np.testing.assert_array_equal(results["y"], results["y_1"])


def test_a_name_that_is_only_counted_is_none():
    """Keras numbers unnamed tensors in each process."""
    inputs = keras.Input((4,))
    assert end_names.input_names(keras.Model(inputs, layers.Dense(2)(inputs))) == ["input_0"]


def test_a_sequential_has_the_names_of_its_layers(tmp_path: Path):
    built = keras.Sequential([keras.Input((4,), name="row"), layers.Dense(3), layers.Softmax(name="probabilities")])
    assert ends(export_file(built, tmp_path)) == (["row"], ["probabilities"])
