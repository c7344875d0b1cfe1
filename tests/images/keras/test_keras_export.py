"""Keras to ONNX: the same bytes every time, the model's own inputs, and no invalid file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tf2onnx
from onnx.reference import ReferenceEvaluator

from images.keras import export
from images.keras.export.canonical import canonicalize
from images.keras.model.runtime import flatten_ends
from shared.data.examples import Example
from shared.errors import CrossquantError, Unsupported
from tests.images.keras import keras_models as models

FILE = "model.onnx"
EXPORT_ALL = """
import sys
from pathlib import Path
from images.keras import export
for name in sys.argv[2:]:
    out = Path(sys.argv[1]) / name
    out.mkdir(parents=True)
    export.run(Path(name), Path("dataset"), out, opset=17)
"""
every_model = pytest.mark.parametrize("build", models.BUILDERS, ids=lambda build: build.__name__)


def export_model(build: Callable[[], keras.Model], tmp_path: Path, out: Path, opset: int = 17) -> onnx.ModelProto:
    source = models.save(build, tmp_path / "model")
    export.run(source, models.write_samples(flatten_ends(build()), tmp_path / "dataset"), out, opset=opset)
    return onnx.load(out / FILE)


def answers(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(model).run(None, {model.graph.input[0].name: images})[0]


def export_uncanonical(build: Callable[[], keras.Model], monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    """What tf2onnx itself makes of the model."""
    keras.utils.set_random_seed(0)
    monkeypatch.setattr(export, "canonicalize", lambda model, *_: model)
    return export.convert(flatten_ends(build()), 17)[0]


def test_two_processes_export_the_same_bytes(tmp_path: Path):
    """With two hash seeds, which decide the order of tf2onnx's sets."""
    names = [build.__name__ for build in models.BUILDERS]
    for build in models.BUILDERS:
        models.save(build, tmp_path / build.__name__)
    models.write_samples(models.residual(), tmp_path / "dataset")
    path = os.pathsep.join(sys.path)
    for seed in ("1", "2"):
        command = [sys.executable, "-c", EXPORT_ALL, str(tmp_path / seed), *names]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        subprocess.run(command, check=True, cwd=tmp_path, env=environment, capture_output=True)
    first, second = ([(tmp_path / seed / name / FILE).read_bytes() for name in names] for seed in ("1", "2"))
    assert first == second


def test_one_process_exports_the_same_bytes_twice(tmp_path: Path):
    """tf2onnx goes on counting: what a name is exports of must not show, nor that of a dimension."""
    source = models.save(models.residual, tmp_path / "model")
    dataset = models.write_samples(models.residual(), tmp_path / "dataset")
    exports = []
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        export.run(source, dataset, tmp_path / turn, opset=17)
        exports.append((tmp_path / turn / FILE).read_bytes())
    assert exports[0] == exports[1]


@every_model
def test_the_file_answers_as_the_model_to_any_batch(build: Callable[[], keras.Model], tmp_path: Path, out: Path):
    graph = export_model(build, tmp_path, out)
    model = keras.models.load_model(tmp_path / "model" / "model.keras")
    for count in (1, 3):
        images = models.images(count)
        expected = model(images, training=False).numpy()
        np.testing.assert_allclose(answers(graph, images), expected, rtol=0, atol=1e-5)


@every_model
def test_the_file_takes_the_image_and_nothing_else(build: Callable[[], keras.Model], tmp_path: Path, out: Path):
    graph = export_model(build, tmp_path, out).graph
    [tensor] = keras.models.load_model(tmp_path / "model" / "model.keras").inputs
    assert [item.name for item in graph.input] == [tensor.name]
    assert len(graph.output) == 1
    batch, *rest = graph.input[0].type.tensor_type.shape.dim
    assert batch.WhichOneof("value") != "dim_value"
    assert [dimension.dim_value for dimension in rest] == list(models.SHAPE)


@every_model
def test_the_checker_passes(build: Callable[[], keras.Model], tmp_path: Path, out: Path):
    onnx.checker.check_model(export_model(build, tmp_path, out), full_check=True)


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_the_opset_is_the_one_asked_for(opset: int, tmp_path: Path, out: Path):
    graph = export_model(models.flatten_after_pooling, tmp_path, out, opset)
    assert [item.version for item in graph.opset_import if item.domain == ""] == [opset]


def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        export_model(models.bessel, tmp_path, out)
    assert str(caught.value) == (
        f"tf2onnx {tf2onnx.__version__} can't convert BesselI0e of layer 'bessel': ONNX 17 has no such operator"
    )
    assert not list(out.iterdir())


def test_an_input_that_the_model_lacks_is_an_error(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    """As tf2onnx's other entry does to Normalization layers."""

    def with_another(
        source: keras.Model, opset: int, batch: int | None, _: Example
    ) -> tuple[onnx.ModelProto, list[str]]:
        model, notes = convert(source, opset, batch)
        model.graph.input.append(onnx.helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, [3]))
        return model, notes

    convert = export.convert
    monkeypatch.setattr(export, "convert", with_another)
    with pytest.raises(CrossquantError) as caught:
        export_model(models.normalization, tmp_path, out)
    [tensor] = keras.models.load_model(tmp_path / "model" / "model.keras").inputs
    assert str(caught.value) == f"tf2onnx gave the ONNX file the inputs ['{tensor.name}', 'mean']: the model has 1"
    assert not list(out.iterdir())


@every_model
def test_canonical_keeps_the_function(build: Callable[[], keras.Model], monkeypatch: pytest.MonkeyPatch):
    before = export_uncanonical(build, monkeypatch)
    images = models.images(4)
    np.testing.assert_array_equal(answers(canonicalize(before), images), answers(before, images))


@every_model
def test_canonical_sees_neither_names_nor_order(build: Callable[[], keras.Model], monkeypatch: pytest.MonkeyPatch):
    model = export_uncanonical(build, monkeypatch)
    other = disguise(model)
    assert other.SerializeToString() != model.SerializeToString()
    assert canonicalize(other).SerializeToString() == canonicalize(model).SerializeToString()


@every_model
def test_canonical_changes_its_own_result_no_more(build: Callable[[], keras.Model], monkeypatch: pytest.MonkeyPatch):
    once = canonicalize(export_uncanonical(build, monkeypatch))
    assert canonicalize(once).SerializeToString() == once.SerializeToString()


def test_canonical_leaves_the_model_it_was_given(monkeypatch: pytest.MonkeyPatch):
    model = export_uncanonical(models.residual, monkeypatch)
    before = model.SerializeToString()
    canonicalize(model)
    assert model.SerializeToString() == before


def disguise(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function under other names; nodes, initializers, attributes and value infos in another order."""
    other = onnx.ModelProto.FromString(model.SerializeToString())
    graph = other.graph
    fixed = {item.name for item in (*graph.input, *graph.output)} | {""}
    graph.name = "disguised"
    for node in graph.node:
        node.name = f"z{node.name}"
        node.input[:] = [name if name in fixed else f"z{name}" for name in node.input]
        node.output[:] = [name if name in fixed else f"z{name}" for name in node.output]
        reverse([node.attribute])
    for item in (*graph.initializer, *graph.value_info):
        item.name = f"z{item.name}"
    reverse([graph.initializer, graph.value_info])
    nodes = sort_late_first(graph)
    del graph.node[:]
    graph.node.extend(nodes)
    return other


def sort_late_first(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes in a valid order that takes, of those whose inputs are there, the one that came last."""
    waiting = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    available = {item.name for item in (*graph.input, *graph.initializer)} | {""}
    ordered = []
    while waiting:
        node = next(node for node in reversed(waiting) if available.issuperset(node.input))
        waiting.remove(node)
        available.update(node.output)
        ordered.append(node)
    return ordered


def reverse(fields: list) -> None:
    for field in fields:
        copies = [type(item).FromString(item.SerializeToString()) for item in reversed(field)]
        del field[:]
        field.extend(copies)
