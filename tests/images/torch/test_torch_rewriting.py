"""A rewritten graph gives the same answers and names its changes; nothing is changed without need."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from images.torch import convert
from images.torch.convert.rewriting import rewrite_model
from images.torch.convert.unrolling import unroll_model
from tests.images import models
from tests.images.torch.graphs import model, one, random, reference, saved


def float_info(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def int_info(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, ())


def test_a_graph_that_needs_nothing_is_left_as_it_is(tmp_path: Path):
    graph = onnx.load(models.convolutional(tmp_path) / models.FILE)
    assert rewrite_model(graph)[1] == []


def test_an_operator_is_decomposed_by_what_onnx_defines_it_by():
    x = random(2, 4, 6)
    graph = one("MeanVarianceNormalization", x, axes=[0, 2])
    changed, notes = rewrite_model(graph)
    assert notes[0] == "MeanVarianceNormalization by what ONNX defines it by"
    assert "MeanVarianceNormalization" not in {node.op_type for node in changed.graph.node}
    names = [node.name for node in changed.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)
    np.testing.assert_allclose(reference(changed, x)[0], reference(graph, x)[0], atol=1e-5)


def test_operators_on_constants_are_folded():
    x = random(2, 3)
    nodes = [
        helper.make_node("Sinh", ["a"], ["b"], name="first"),
        helper.make_node("Add", ["x", "b"], ["y"], name="sum"),
    ]
    graph = model(nodes, x, ["y"], {"a": random(3)})
    changed, notes = rewrite_model(graph)
    assert notes == ["1 operators on constants by their values"]
    assert [node.name for node in changed.graph.node] == ["sum"]
    np.testing.assert_allclose(reference(changed, x)[0], reference(graph, x)[0], atol=1e-6)


@pytest.mark.parametrize(("kind", "way"), [("Conv", "SAME_UPPER"), ("Conv", "SAME_LOWER"), ("MaxPool", "SAME_UPPER")])
def test_the_padding_of_same_is_made_explicit(kind: str, way: str, tmp_path: Path):
    x = random(2, 3, 7, 6)
    weight = (random(4, 3, 3, 3),) if kind == "Conv" else ()
    graph = one(kind, x, *weight, auto_pad=way, kernel_shape=[3, 3], strides=[2, 2])
    changed, notes = rewrite_model(graph)
    assert notes == ["the padding of layer in numbers"]
    expected = reference(graph, x)[0]
    np.testing.assert_allclose(reference(changed, x)[0], expected, atol=1e-5)
    answers = convert.to_module(saved(changed, tmp_path))(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize(("way", "width"), [("SAME_UPPER", 3), ("SAME_UPPER", 4), ("SAME_LOWER", 4)])
def test_the_padding_of_same_of_sequences_of_any_length(way: str, width: int, tmp_path: Path):
    """Without strides it doesn't depend on the length, which a model of sequences leaves open."""
    weight = random(4, 3, width)
    graph = one("Conv", random(2, 3, 9), weight, auto_pad=way, kernel_shape=[width], dilations=[2])
    del graph.graph.value_info[:]
    for item in (*graph.graph.input, *graph.graph.output):
        item.type.tensor_type.shape.dim[2].dim_param = "length"
    changed, notes = rewrite_model(graph)
    assert notes == ["the padding of layer in numbers"]
    module = convert.to_module(saved(changed, tmp_path))
    for x in (random(2, 3, 9), random(3, 3, 5)):
        np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), reference(graph, x)[0], atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 6), (2, 3, 5, 6)], ids=len)
@pytest.mark.parametrize("bias", [True, False])
def test_a_product_with_constants_becomes_a_linear_layer_of_any_rank(
    shape: tuple[int, ...], bias: bool, tmp_path: Path
):
    x, constants = random(*shape), {"weight": random(6, 4, seed=1), "bias": random(4, seed=2)}
    nodes = [helper.make_node("MatMul", ["x", "weight"], ["product"], name="product")]
    if bias:
        nodes.append(helper.make_node("Add", ["bias", "product"], ["sum"], name="sum"))
    nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], ["y"], name="relu"))
    graph = model(nodes, x, ["y"], constants if bias else {"weight": constants["weight"]})
    changed, notes = rewrite_model(graph)
    assert notes == ["product and sum as a linear layer" if bias else "product as a linear layer"]
    assert [node.name for node in changed.graph.node] == ["product", "relu"]
    module = convert.to_module(saved(changed, tmp_path))
    assert [type(item).__name__ for item in module.children()].count("Linear") == 1
    answers = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(answers, reference(graph, x)[0], atol=1e-5)


def test_an_addition_that_another_reads_beside_stays():
    """The product itself is an output: its sum can't take its place."""
    x = random(2, 6)
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"], name="product"),
        helper.make_node("Add", ["product", "bias"], ["y"], name="sum"),
    ]
    graph = model(nodes, x, ["product", "y"], {"weight": random(6, 4), "bias": random(4)})
    assert rewrite_model(graph)[1] == ["product as a linear layer"]


def loop(condition: Callable[[str], list[onnx.NodeProto]], steps: int = 4) -> tuple[onnx.ModelProto, np.ndarray]:
    """A state that grows by a slice of `x` each step and by a constant of the body; all states are an output too."""
    x = random(3, steps, 5)
    body = helper.make_graph(
        [
            helper.make_node("Gather", ["x", "step"], ["slice"], name="take", axis=1),
            helper.make_node("Mul", ["state", "factor"], ["smaller"], name="shrink"),
            helper.make_node("Add", ["smaller", "slice"], ["next"], name="grow"),
            *condition("step"),
        ],
        "body",
        [int_info("step"), helper.make_tensor_value_info("before", TensorProto.BOOL, ()), float_info("state", "n", 5)],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, ()),
            float_info("next", "n", 5),
            float_info("next", "n", 5),
        ],
        [onnx.numpy_helper.from_array(np.float32(0.5), "factor"), onnx.numpy_helper.from_array(np.int64(2), "two")],
    )
    first = helper.make_node("ReduceSum", ["x", "axis"], ["start"], name="start", keepdims=0)
    node = helper.make_node("Loop", ["count", "true", "start"], ["last", "all"], name="loop", body=body)
    constants = {"count": np.array(steps, np.int64), "true": np.array(True), "axis": np.array([1], np.int64)}
    return model([first, node], x, ["last", "all"], constants), x


def always(step: str) -> list[onnx.NodeProto]:
    return [helper.make_node("GreaterOrEqual", [step, step], ["goes_on"], name="condition")]


def twice(step: str) -> list[onnx.NodeProto]:
    return [helper.make_node("Less", [step, "two"], ["goes_on"], name="condition")]


def test_a_loop_of_known_length_is_unrolled(tmp_path: Path):
    graph, x = loop(always)
    changed, notes = rewrite_model(graph)
    assert notes[0] == "the loop loop step by step"
    assert "Loop" not in {node.op_type for node in changed.graph.node}
    expected = ReferenceEvaluator(graph).run(None, {"x": x})
    module = convert.to_module(saved(changed, tmp_path))
    outputs = [value.numpy() for value in module(torch.from_numpy(x))]
    for last, states in (reference(changed, x), outputs):
        assert states.shape == (4, 3, 5)
        np.testing.assert_allclose(last, expected[0], atol=1e-5)
        np.testing.assert_allclose(states.reshape(-1, 5), expected[1].reshape(-1, 5), atol=1e-5)


def test_a_loop_that_may_end_before_is_left():
    graph, _ = loop(twice)
    assert unroll_model(graph) == (graph, [])
