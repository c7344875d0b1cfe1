"""What stages.toml declares to saturate does so on a CPU with AVX2 and no VNNI, and there alone; the rest nowhere.

The model is a product whose pairs of products don't fit in 16 bits: weights and inputs are as large as they can be.
What is exact is the same file, computed in float between its QuantizeLinear and DequantizeLinear.
"""

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from driver.catalog import declarations
from driver.experiment import recipes
from images.onnx import dynamic
from shared.measure.instructions import this_cpu
from tests.images import models
from tests.images.onnx import quantizing

STATIC, DYNAMIC = (
    next(stage for stage in declarations.load()["onnx"] if stage.run == run and stage.takes_recipe)
    for run in ("quantize", "dynamic")
)
TYPES = ("int8", "uint8")
GRID = [
    {"activation": activation, "weight": weight, "per_channel": per_channel, "reduce_range": reduced}
    for activation, weight, per_channel, reduced in itertools.product(TYPES, TYPES, (False, True), (False, True))
    if (activation, weight) != ("int8", "uint8")  # ONNX Runtime refuses it
]
BRIGHT = np.full((3, *models.SHAPE), 255, np.float32)


def product(folder: Path, kind: str) -> Path:
    """192 inputs from 0 to 1, by weights of 1, -1 and in between; as a Gemm or as a Conv over the whole image."""
    graph = models.Graph()
    weights = np.ones((192, 4), np.float32) * np.array([1, -1, 0.9, -0.9], np.float32)
    if kind == "Gemm":
        graph.add("Flatten")
        graph.add("Gemm", graph.given(weights), graph.given(np.zeros(4, np.float32)))
    else:
        graph.add("Transpose", perm=[0, 3, 1, 2])
        graph.add("Conv", graph.given(np.ascontiguousarray(weights.T.reshape(4, 3, 8, 8))))
        graph.add("Flatten")
    graph.save(folder / "exported", ("batch", 4))
    return graph.save(folder / "folded", ("batch", 4))


@pytest.fixture
def bright(calibration: Path) -> Path:
    """Calibration images of which some are white all over."""
    images = np.load(calibration / "input_0.npy")
    images[::10] = 255
    np.save(calibration / "input_0.npy", images)
    return calibration


def saturates(variant: Path) -> bool:
    """Are the answers to white images off from their exact product by more than the rounding of 8 bits?"""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(variant / models.FILE), options, ["CPUExecutionProvider"])
    (exact,) = session.run(None, {"image": BRIGHT})
    assert np.abs(exact).min() > 100, "the model's own answers are near 173 and 192"
    return bool(np.abs(quantizing.answers(variant, BRIGHT) - exact).max() > 20)


@pytest.mark.parametrize("kind", ["Conv", "Gemm"])
@pytest.mark.parametrize("recipe", GRID, ids=lambda recipe: "-".join(map(str, recipe.values())))
def test_a_static_recipe_saturates_as_it_is_declared(tmp_path: Path, bright: Path, out: Path, recipe, kind):
    quantizing.run(product(tmp_path, kind), bright, out, calibrate="minmax", **recipe)
    assert saturates(out) is (recipes.saturates(STATIC, recipe) and this_cpu().saturates)
    assert recipes.saturates(STATIC, recipe) or recipes.is_cpu_invariant(STATIC, recipe), "all of these are declared"


@pytest.mark.parametrize("activation", ["uint16", "int16"])
def test_activations_of_16_bits_saturate_nowhere(tmp_path: Path, bright: Path, out: Path, activation):
    recipe = {"activation": activation, "weight": "int8", "per_channel": False}
    quantizing.run(product(tmp_path, "Gemm"), bright, out, calibrate="minmax", **recipe)
    assert not saturates(out)
    assert not recipes.saturates(STATIC, recipe)


def multiply_white(weights: np.ndarray) -> np.ndarray:
    """Multiply white inputs by these weights as a dynamically quantized file does: by MatMulInteger."""
    nodes = [helper.make_node("MatMulInteger", ["inputs", "weights"], ["products"])]
    takes = helper.make_tensor_value_info("inputs", TensorProto.UINT8, [1, len(weights)])
    gives = helper.make_tensor_value_info("products", TensorProto.INT32, [1, weights.shape[1]])
    graph = helper.make_graph(nodes, "product", [takes], [gives], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (products,) = session.run(None, {"inputs": np.full((1, len(weights)), 255, np.uint8)})
    return products


@pytest.mark.parametrize("weight", [np.int8(127), np.int8(-127), np.int8(63), np.uint8(255)])
def test_products_of_uint8_and_int8_are_exact_but_on_such_a_cpu(weight):
    products = multiply_white(np.full((192, 8), weight))
    saturates = weight.dtype == np.int8 and abs(int(weight)) > 64 and this_cpu().saturates
    assert (products != 255 * 192 * int(weight)).any() == saturates


@pytest.mark.parametrize("weight", TYPES)
def test_a_dynamic_recipe_saturates_as_it_is_declared(tmp_path: Path, out: Path, weight):
    dynamic.run(product(tmp_path, "Gemm"), out, weight=weight, per_channel=False, exclude=[], exclude_types=[])
    exact = np.array([192, -192, 172.8, -172.8])
    saturates = np.abs(quantizing.answers(out, BRIGHT) - exact).max() > 20
    assert saturates == (recipes.saturates(DYNAMIC, {"weight": weight}) and this_cpu().saturates)
