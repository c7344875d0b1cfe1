"""Recurrent layers count with all their products, and the layers that stay in float are named."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from images.onnx import dynamic
from images.onnx.quantize import coverage
from shared.errors import Unsupported

UNITS, WIDTH = 5, 4


def recurrent(kind: str, ways: int, folder: Path) -> Path:
    """A recurrent layer and a dense one behind it."""
    random, gates = np.random.default_rng(0), 4 if kind == "LSTM" else 3
    shapes = {"w": (ways, gates * UNITS, WIDTH), "r": (ways, gates * UNITS, UNITS), "dense": (UNITS, 3)}
    constants = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    direction = "bidirectional" if ways == 2 else "forward"
    nodes = [
        helper.make_node(kind, ["x", "w", "r"], ["", "last"], name="layer", hidden_size=UNITS, direction=direction),
        helper.make_node("MatMul", ["last", "dense"], ["y"], name="dense_layer"),
    ]
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, (7, "batch", WIDTH))
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, (ways, "batch", 3))
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "model", [takes], [gives], initializers)
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.mark.parametrize(("kind", "ways"), [("LSTM", 1), ("LSTM", 2), ("GRU", 1)])
def test_a_recurrent_layer_is_two_products_each_way(kind: str, ways: int, tmp_path: Path):
    graph = onnx.load(recurrent(kind, ways, tmp_path / "model") / "model.onnx")
    assert coverage.count_quantized(graph) == (0, 2 * ways + 1)
    assert coverage.describe_nodes_in_float(graph) == [f"layer ({kind})", "dense_layer (MatMul)"]


@pytest.mark.parametrize("ways", [1, 2])
def test_an_lstm_that_is_quantized_as_it_runs_counts(ways: int, tmp_path: Path, out: Path):
    model = recurrent("LSTM", ways, tmp_path / "model")
    dynamic.run(model, out, weight="int8", per_channel=False, exclude=[], exclude_types=[])
    assert coverage.count_quantized(onnx.load(out / "model.onnx")) == (2 * ways + 1, 2 * ways + 1)


def test_a_gru_stays_in_float_and_is_named(tmp_path: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        dynamic.run(
            recurrent("GRU", 1, tmp_path / "model"), out, weight="int8", per_channel=False, exclude=[], exclude_types=[]
        )
    assert str(caught.value) == (
        "ONNX Runtime quantized 1 of 3 convolutions and linear layers, without an error; layer (GRU) stayed in float"
    )


def test_the_body_of_a_loop_is_looked_into():
    """No quantizer changes it: the products of a model that are all in a loop are in float."""
    body = helper.make_graph(
        [helper.make_node("MatMul", ["state", "w"], ["next"], name="inner")],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ()) for name in ("step", "before")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("before", "next")],
    )
    loop = helper.make_node("Loop", ["count", "", "x"], ["y"], name="loop", body=body)
    graph = helper.make_model(helper.make_graph([loop], "model", [], []))
    assert coverage.count_quantized(graph) == (0, 1)
    assert coverage.describe_nodes_in_float(graph) == ["inner (MatMul)"]
