"""Computed Reshape targets become constant, so that tf2onnx gives the same graph every time."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from images.keras import export
from images.keras.export.canonical import canonicalize
from images.keras.export.reshape import make_reshapes_constant
from images.keras.model.runtime import flatten_ends
from tests.images import models
from tests.images.keras import keras_models


def reference(folder: Path, images: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(str(folder / models.FILE)).run(None, {"image": images})[0]


def test_a_computed_target_becomes_constant(tmp_path: Path):
    source = models.computed_flatten(tmp_path)
    images = models.images(3)
    expected = reference(source, images)
    model = onnx.load(source / models.FILE)
    assert make_reshapes_constant(model) == 1
    assert not {"Shape", "Slice", "Concat"} & {node.op_type for node in model.graph.node}
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(ReferenceEvaluator(model).run(None, {"image": images})[0], expected)


def test_a_target_that_inference_does_not_follow(tmp_path: Path):
    """(batch, -1, 3): the -1 is 64 for any number of samples."""
    model = onnx.load(models.two_unknown(tmp_path) / models.FILE)
    images = models.images(2)
    expected = ReferenceEvaluator(model).run(None, {"image": images})[0]
    assert make_reshapes_constant(model) == 1
    assert [node.op_type for node in model.graph.node if node.op_type in ("Shape", "Concat")] == []
    np.testing.assert_array_equal(ReferenceEvaluator(model).run(None, {"image": images})[0], expected)


def test_two_unknown_dimensions_are_left_computed(tmp_path: Path):
    model = onnx.load(models.two_unknown(tmp_path) / models.FILE)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "rows"
    before = model.SerializeToString()
    assert make_reshapes_constant(model) == 0
    assert model.SerializeToString() == before


def test_a_constant_target_is_left_alone(tmp_path: Path):
    model = onnx.load(models.zero_dimension(tmp_path) / models.FILE)
    before = model.SerializeToString()
    assert make_reshapes_constant(model) == 0
    assert model.SerializeToString() == before


def computed(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with the target of its Reshape computed from its input's shape, as tf2onnx leaves it now and then."""
    graph = model.graph
    (at,) = [number for number, node in enumerate(graph.node) if node.op_type == "Reshape"]
    data, target = graph.node[at].input
    (sizes,) = [numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == target]
    values = {"start": [0], "end": [1], "rest": sizes[1:].tolist()}
    graph.initializer.extend(helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in values.items())
    graph.node[at].input[1] = "target"
    nodes = [
        helper.make_node("Shape", [data], ["shape"]),
        helper.make_node("Slice", ["shape", "start", "end"], ["first"]),
        helper.make_node("Concat", ["first", "rest"], ["target"], axis=0),
    ]
    for node in reversed(nodes):
        graph.node.insert(at, node)
    return model


def test_both_ways_in_which_tf2onnx_leaves_flatten_give_the_same_bytes():
    usual, _ = export.convert(flatten_ends(keras_models.flatten_after_pooling()), 17)
    other = onnx.ModelProto.FromString(usual.SerializeToString())
    other = computed(other)
    del other.graph.value_info[:]
    assert len(canonicalize(other).graph.node) == len(usual.graph.node) + 3
    assert make_reshapes_constant(other) == 1
    assert canonicalize(other).SerializeToString() == usual.SerializeToString()
