"""Tensors that depend on the shapes of the inputs alone become constants, and no others do."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from images.onnx import fold_batchnorm
from images.onnx.graph.shape_constants import freeze_shape_inputs
from tests.images import models

Nodes = list[onnx.NodeProto]


def model(nodes: Nodes, constants: dict[str, np.ndarray], *outputs: str, size: int | str = 6) -> onnx.ModelProto:
    """Make a model whose input `x` is (batch, 4, size)."""
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", 4, size))
    gives = [onnx.ValueInfoProto(name=name) for name in outputs]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "model", [takes], gives, initializers)
    model_proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model_proto)


def node(kind: str, *names: str, **attributes: object) -> onnx.NodeProto:
    *inputs, output = names
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def attention(size: int | str = 6) -> onnx.ModelProto:
    """The pattern that tf2onnx writes for Keras' attention: the target has a product of sizes of `x`, -1 and another
    size.
    """
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape", "first", "sizes"),
        node("ReduceProd", "sizes", "product", keepdims=1),
        node("Gather", "shape", "last", "width"),
        node("Concat", "product", "rest", "width", "target", axis=0),
        node("Reshape", "x", "target", "flat"),
        node("Relu", "flat", "y"),
    ]
    constants = {"first": np.array([0]), "last": np.array([2]), "rest": np.array([-1])}
    return model(nodes, constants, "y", size=size)


def answers(model_proto: onnx.ModelProto, count: int) -> list[np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 4, 6)).astype(np.float32)
    return ReferenceEvaluator(model_proto).run(None, {"x": x})


def same(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    for count in (1, 5):
        for actual, expected in zip(answers(after, count), answers(before, count), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_target_that_is_computed_is_a_constant_with_the_batch_open(tmp_path: Path):
    before, after = attention(), attention()
    assert freeze_shape_inputs(after, tmp_path) == 1
    assert [item.op_type for item in after.graph.node] == ["Reshape", "Relu"]
    [target] = after.graph.initializer
    assert numpy_helper.to_array(target).tolist() == [-1, 4, 6]
    same(before, after)


def test_where_another_size_is_open_nothing_is_changed(tmp_path: Path):
    graph = attention("width")
    before = graph.SerializeToString()
    assert freeze_shape_inputs(graph, tmp_path) == 0
    assert graph.SerializeToString() == before


def test_a_shape_that_follows_the_batch_twice_stays(tmp_path: Path):
    """(batch, batch) can't be written with one -1."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape", "first", "size"),
        node("Concat", "size", "size", "both", axis=0),
        node("Expand", "one", "both", "ones"),
        node("ReduceSum", "ones", "y"),
        node("Relu", "x", "z"),
    ]
    twice = model(nodes, {"first": np.array([0]), "one": np.ones((1, 1), np.float32)}, "y", "z")
    assert freeze_shape_inputs(twice, tmp_path) == 0


def test_a_number_that_is_the_same_for_each_batch_is_a_constant(tmp_path: Path):
    """It keeps its rank 0: one more axis would change what it is broadcast to."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape", "last", "width"),
        node("Cast", "width", "number", to=TensorProto.FLOAT),
        node("Div", "x", "number", "y"),
    ]
    before = model(nodes, {"last": np.array(2)}, "y")
    after = model(nodes, {"last": np.array(2)}, "y")
    assert freeze_shape_inputs(after, tmp_path) == 1
    [constant] = after.graph.initializer
    assert (list(constant.dims), float(numpy_helper.to_array(constant))) == ([], 6.0)
    same(before, after)


def test_what_is_data_stays_data(tmp_path: Path):
    """Indices that come from the values of `x`, not from its shape: both batches of zeros would give the same."""
    nodes = [node("ArgMax", "x", "places", axis=2, keepdims=1), node("GatherElements", "x", "places", "y", axis=2)]
    gathered = model(nodes, {}, "y")
    assert freeze_shape_inputs(gathered, tmp_path) == 0
    assert [item.op_type for item in gathered.graph.node] == ["ArgMax", "GatherElements"]


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_recurrent_layer_starts_from_zeros_by_default(start: float, tmp_path: Path):
    """The zeros of the batch's size are what ONNX starts from anyway; another state stays."""
    random = np.random.default_rng(3)
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape", "second", "size"),
        node("Concat", "one", "size", "units", "states", axis=0),
        node("Expand", "start", "states", "state"),
        helper.make_node("GRU", ["x", "w", "r", "", "", "state"], ["y"], name="gru", hidden_size=5),
    ]
    constants = {
        "second": np.array([1]),
        "one": np.array([1]),
        "units": np.array([5]),
        "start": np.full((1, 1, 1), start, np.float32),
        "w": random.normal(size=(1, 15, 6)).astype(np.float32),
        "r": random.normal(size=(1, 15, 5)).astype(np.float32),
    }
    before, after = (model(nodes, constants, "y") for _ in range(2))
    assert freeze_shape_inputs(after, tmp_path) == 1
    [gru] = after.graph.node
    assert bool(gru.input[5]) is bool(start)
    same(before, after)


def test_folding_gets_through_where_the_target_was_computed(tmp_path: Path, out: Path):
    source = tmp_path / "exported"
    source.mkdir()
    onnx.save(attention(), source / models.FILE)
    fold_batchnorm.run(source, out, enabled=True)
    assert [item.op_type for item in onnx.load(out / models.FILE).graph.node] == ["Reshape", "Relu"]
    assert not [path for path in out.iterdir() if path.name not in (models.FILE, "example.npz")]


def test_a_graph_without_computed_targets_is_left_as_it_is(tmp_path: Path):
    """The default model's file must not change with this."""
    graph = onnx.load(models.convolutional(tmp_path / "exported") / models.FILE)
    before = graph.SerializeToString()
    assert freeze_shape_inputs(graph, tmp_path) == 0
    assert graph.SerializeToString() == before


def unfollowed() -> onnx.ModelProto:
    """The product of two tensors whose first sizes are both computed from an open width."""
    nodes = []
    for side in ("left", "right"):
        nodes += [
            node("Shape", "x", f"{side}_shape"),
            node("Gather", f"{side}_shape", "first", f"{side}_sizes"),
            node("ReduceProd", f"{side}_sizes", f"{side}_product", keepdims=1),
            node("Gather", f"{side}_shape", "last", f"{side}_width"),
            node("Concat", f"{side}_product", "rest", f"{side}_width", f"{side}_target", axis=0),
            node("Reshape", "x", f"{side}_target", side),
        ]
    nodes += [node("Transpose", "right", "turned", perm=[0, 2, 1]), node("MatMul", "left", "turned", "y")]
    constants = {"first": np.array([0]), "last": np.array([2]), "rest": np.array([-1])}
    return model(nodes, constants, "y", size="width")


def test_folding_gets_through_where_onnx_runtime_can_infer_no_shape(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """When it fails, ONNX Runtime writes a file into the working directory, which is read-only in a container."""
    elsewhere, source = tmp_path / "elsewhere", tmp_path / "exported"
    elsewhere.mkdir()
    source.mkdir()
    monkeypatch.chdir(elsewhere)
    onnx.save(unfollowed(), source / models.FILE)
    fold_batchnorm.run(source, out, enabled=True)
    assert "ONNX Runtime's symbolic shape inference: " in capsys.readouterr().out
    notes = json.loads((out / "notes.json").read_text())
    assert notes == ["ONNX Runtime's symbolic shape inference failed: shapes are inferred without it"]
    same(unfollowed(), onnx.load(out / models.FILE))
    assert not list(elsewhere.iterdir())
