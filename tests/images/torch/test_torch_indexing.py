"""Operators that read or write places that are data: a trace must not hold those of its example."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from images.torch import convert, pt2e
from images.torch.runtime import formats
from tests.images.torch.graphs import random, saved

SHAPES = {"x": (4, 6), "places": (3, 1), "steps": (), "ids": (5,), "updates": (3, 6), "elements": (2, 6)}


def node(kind: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, ["y"], name="layer", **attributes)


NODES = {
    "GatherND": node("GatherND", "x", "places", batch_dims=1),
    "GatherElements": node("GatherElements", "x", "elements", axis=1),
    "ScatterElements": node("ScatterElements", "x", "elements", "values", axis=1),
    "ScatterElements-add": node("ScatterElements", "x", "elements", "values", axis=1, reduction="add"),
    "OneHot": node("OneHot", "ids", "depth", "pair"),
    "OneHot-axis": node("OneHot", "ids", "depth", "pair", axis=1),
    "ReverseSequence": node("ReverseSequence", "x", "steps", batch_axis=0, time_axis=1),
    "Div": node("Div", "ids", "three"),
    "Mod": node("Mod", "ids", "three"),
}
CONSTANTS = {
    "depth": np.array(4, np.int64),
    "pair": np.array([-1, 2], np.float32),
    "three": np.array(3, np.int64),
}


def graph(name: str) -> tuple[onnx.ModelProto, list[str]]:
    """The operator with its data as inputs, and their names."""
    made = NODES[name]
    names = [item for item in made.input if item not in CONSTANTS]
    takes = [
        helper.make_tensor_value_info(
            item,
            TensorProto.FLOAT if item in ("x", "values") else TensorProto.INT64,
            ("batch", *SHAPES["elements" if item == "values" else item]),
        )
        for item in names
    ]
    constants = [numpy_helper.from_array(CONSTANTS[item], item) for item in made.input if item in CONSTANTS]
    built = helper.make_graph([made], "model", takes, [onnx.ValueInfoProto(name="y")], constants)
    opsets = [helper.make_opsetid("", 18)]
    return onnx.shape_inference.infer_shapes(helper.make_model(built, opset_imports=opsets, ir_version=8)), names


def samples(names: list[str], count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(count)
    values = {
        "x": random(count, *SHAPES["x"], seed=count),
        "values": random(count, *SHAPES["elements"], seed=count),
        "places": generator.integers(-4, 4, (count, *SHAPES["places"])),
        "elements": np.argsort(generator.random((count, 4, 6)), axis=1)[:, :2],  # no place twice
        "ids": generator.integers(-4, 4, (count, *SHAPES["ids"])),
        "steps": generator.integers(0, 5, count),
    }
    return {name: values[name] for name in names}


@pytest.mark.parametrize("name", NODES)
def test_places_are_followed_from_batch_to_batch(name: str, tmp_path: Path, out: Path):
    made, names = graph(name)
    source = saved(made, tmp_path / "onnx")
    convert.run(source, out)
    load = formats.load(out, 1)
    with torch.no_grad():
        module = convert.to_module(source)
        traced = pt2e.retrace_module(module)
        assert traced is not module, "FX can't trace it"
        size = torch.export.Dim("batch")
        first = tuple(map(torch.from_numpy, samples(names, 4).values()))
        program = torch.export.export(traced, first, dynamic_shapes=tuple({0: size} for _ in first)).module()
        for count in (1, 3, 6):
            given = samples(names, count)
            [expected] = ReferenceEvaluator(made).run(None, given)
            [actual] = load(tuple(given.values()))
            np.testing.assert_allclose(actual, expected, rtol=1e-5)
            assert actual.dtype == expected.dtype
            if count > 1:
                np.testing.assert_allclose(program(*map(torch.from_numpy, given.values())).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["none", "add"])
def test_updates_are_scattered_to_the_slices_that_data_name(reduction: str, tmp_path: Path, out: Path):
    """The rows of the batch that a first input names."""
    nodes = [
        helper.make_node("Unsqueeze", ["rows", "last"], ["places"], name="places"),
        helper.make_node("ScatterND", ["x", "places", "updates"], ["y"], name="layer", reduction=reduction),
    ]
    takes = [
        helper.make_tensor_value_info("rows", TensorProto.INT64, ("batch",)),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", 6)),
        helper.make_tensor_value_info("updates", TensorProto.FLOAT, ("batch", 6)),
    ]
    built = helper.make_graph(
        nodes, "model", takes, [onnx.ValueInfoProto(name="y")], [numpy_helper.from_array(np.array([1]), "last")]
    )
    made = helper.make_model(built, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    convert.run(saved(onnx.shape_inference.infer_shapes(made), tmp_path / "onnx"), out)
    for count in (1, 2, 5):
        rows = np.random.default_rng(count).permutation(count)
        x, updates = random(count, 6, seed=1), random(count, 6, seed=2)
        expected = x.copy()
        expected[rows] = updates + (x[rows] if reduction == "add" else 0)
        np.testing.assert_allclose(formats.load(out, 1)((rows, x, updates))[0], expected, rtol=1e-5)
