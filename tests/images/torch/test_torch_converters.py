"""Converters for operators that onnx2torch lacks or can't trace: they answer as ONNX's reference does."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from images.torch import convert, pt2e
from shared.errors import Unsupported
from tests.images.torch.graphs import model, one, random, reference, saved

X = random(3, 4, 6, 8)
WEIGHT = random(4, 5, 3, 3, seed=1)
STATES = {"LSTM": 4, "GRU": 3}


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def transposed(**attributes: Any) -> onnx.ModelProto:
    return one("ConvTranspose", X, WEIGHT, random(5, seed=2), strides=[2, 2], **attributes)


def resized(mode: str, way: str, scale: float = 2.0, **attributes: Any) -> onnx.ModelProto:
    scales = np.array([1, 1, scale, scale], np.float32)
    return one("Resize", X, None, scales, mode=mode, coordinate_transformation_mode=way, **attributes)


def clipped(*limits: str) -> onnx.ModelProto:
    """`x`, limited by numbers that are computed of it."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "half"], ["less"]),
        helper.make_node("Clip", ["x", *limits], ["y_0"], name="layer"),
    ]
    return model(nodes, X, ["y_0"], {"half": np.array(0.5, np.float32), "low": np.array(-0.2, np.float32)})


OPERATORS = {
    "Clip-computed-least": clipped("less"),
    "Clip-computed-greatest": clipped("", "less"),
    "Clip-computed-both": clipped("low", "less"),
    "GlobalMaxPool": one("GlobalMaxPool", X),
    "GlobalMaxPool-22": one("GlobalMaxPool", X, opset=22),
    "ConvTranspose-even": transposed(pads=[1, 1, 1, 1]),
    "ConvTranspose-uneven": transposed(pads=[0, 0, 1, 1]),
    "ConvTranspose-uneven-both": transposed(pads=[0, 2, 1, 1]),
    "ConvTranspose-output": transposed(pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "ConvTranspose-same-upper": transposed(auto_pad="SAME_UPPER"),
    "ConvTranspose-same-lower": transposed(auto_pad="SAME_LOWER"),
    "ConvTranspose-1d": one("ConvTranspose", random(2, 3, 7), random(3, 2, 3), strides=[2], pads=[0, 1]),
    "AveragePool-uneven": one("AveragePool", X, kernel_shape=[2, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    "AveragePool-uneven-before": one("AveragePool", X, kernel_shape=[3, 3], pads=[1, 0, 0, 1]),
    "AveragePool-uneven-counted": one("AveragePool", X, kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1),
    "AveragePool-uneven-1d": one("AveragePool", X[0], kernel_shape=[2], strides=[2], pads=[0, 1]),
    "AveragePool-even": one("AveragePool", X, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "Gelu": one("Gelu", X, opset=20),
    "Gelu-tanh": one("Gelu", X, opset=20, approximate="tanh"),
    "SpaceToDepth": one("SpaceToDepth", X, blocksize=2),
    "Mish": one("Mish", X, opset=18),
    "ThresholdedRelu": one("ThresholdedRelu", X, alpha=0.5),
    "Slice": one("Slice", X, integers(1, -3), integers(3, 2**40), integers(2, -1)),
    "Slice-steps": one("Slice", X, integers(0), integers(8), integers(3), integers(3)),
    "Slice-backwards": one("Slice", X, integers(-1), integers(-9), integers(3), integers(-1)),
    "Slice-back-two": one("Slice", X, integers(6), integers(1), integers(3), integers(-2)),
    "Unsqueeze": one("Unsqueeze", X, integers(-1, 1)),
    "Split": one("Split", X, integers(1, 3), axis=1, outputs=2),
    "Split-one": one("Split", X, integers(4), axis=1, outputs=1),
    "Split-18": one("Split", X, axis=3, outputs=3, num_outputs=3, opset=18),
    "Pad": one("Pad", X, integers(0, 0, 1, 0, 0, 0, 2, 3), np.float32(1.5)),
    "Pad-reflect": one("Pad", X, integers(0, 0, 1, 0, 0, 0, 2, 3), mode="reflect"),
    "Pad-axes": one("Pad", X, integers(1, 2), None, integers(-1), opset=18),
    "Expand": one("Expand", random(3, 1, 6, 1), integers(1, 4, 1, 8)),
    "Expand-lower": one("Expand", random(3, 4, 1), integers(4, 5)),
    "Tile": one("Tile", X, integers(1, 2, 1, 3)),
    "CumSum": one("CumSum", X, np.array(2, np.int64)),
    "ReduceSum": one("ReduceSum", X, integers(1, -1), keepdims=0),
    "ReduceMean-18": one("ReduceMean", X, integers(2, 3), opset=18),
    "ReduceMax-18": one("ReduceMax", X, integers(1), keepdims=0, opset=18),
    "ReduceL2-18": one("ReduceL2", X, integers(1), opset=18),
    "ReduceLogSumExp-18": one("ReduceLogSumExp", X, integers(1), opset=18),
    "Resize-nearest": resized("nearest", "asymmetric", nearest_mode="floor"),
    "Resize-nearest-half": resized("nearest", "half_pixel", 1.5, nearest_mode="round_prefer_ceil"),
    "Resize-nearest-down": resized("nearest", "asymmetric", 0.5, nearest_mode="ceil"),
    "Resize-linear": resized("linear", "half_pixel"),
    "Resize-linear-corners": resized("linear", "align_corners"),
    "Resize-sizes": one("Resize", X, None, None, integers(3, 4, 9, 4), mode="linear", opset=18),
    "Div": one("Div", X, np.float32(3)),
    "Min": one("Min", X, np.float32(0.1)),
    "Max": one("Max", X, random(8), np.float32(-1)),
    "Sum": one("Sum", X, random(6, 8), np.float32(1)),
    "Mean": one("Mean", X, random(6, 8), np.float32(1)),
    "PRelu-channels": one("PRelu", X, random(4, 1, 1)),
    "PRelu-one": one("PRelu", X, np.array([0.3], np.float32)),
    "PRelu-last-axis": one("PRelu", random(3, 8, 8), random(8)),  # as long as the channels
    "CumSum-exclusive": one("CumSum", X, np.array(2, np.int64), exclusive=1),
    "CumSum-reverse": one("CumSum", X, np.array(-1, np.int64), reverse=1),
    "CumSum-both": one("CumSum", X, np.array(1, np.int64), exclusive=1, reverse=1),
    "Trilu-lower": one("Trilu", X, upper=0),
    "Trilu-upper": one("Trilu", X, np.array(1, np.int64)),
    "ReduceProd-18": one("ReduceProd", X, integers(1, -1), keepdims=0, opset=18),
    "DepthToSpace": one("DepthToSpace", random(3, 8, 2, 3), blocksize=2),
    "DepthToSpace-CRD": one("DepthToSpace", random(3, 8, 2, 3), blocksize=2, mode="CRD"),
    "Gather-last": one("Gather", X, integers(1, -2), axis=-1),
    "Softplus-22": one("Softplus", X, opset=22),
    "Transpose-25": one("Transpose", X, perm=[0, 2, 3, 1], opset=25),
    "MaxPool-22": one("MaxPool", X, kernel_shape=[2, 2], opset=22),
}


@pytest.mark.parametrize(
    ("way", "rounded"),
    [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")],
)
@pytest.mark.parametrize("scale", [2.0, 3.0, 4.0])
def test_resize_by_a_whole_factor_of_pictures_of_any_size(way: str, rounded: str, scale: float, tmp_path: Path):
    """As in a detector that leaves height and width open."""
    graph = open_sizes(resized("nearest", way, scale, nearest_mode=rounded))
    with torch.no_grad():
        module = convert.to_module(saved(graph, tmp_path))
        for x in (X, random(2, 4, 1, 5)):
            same(answers(module, x), reference(graph, x))


def open_sizes(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The same file, without the sizes of its inputs and of what it computes."""
    for item in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        for number, dim in enumerate(item.type.tensor_type.shape.dim):
            if number != 1:
                dim.dim_param = f"open_{number}" if item.name == "x" else ""
    return graph


def test_resize_of_pictures_of_any_size_to_other_neighbours(tmp_path: Path):
    graph = open_sizes(resized("nearest", "half_pixel", 1.5, nearest_mode="round_prefer_ceil"))
    with pytest.raises(Unsupported, match="Resize to the nearest of a tensor of unknown size is not implemented"):
        convert.to_module(saved(graph, tmp_path))


SEQUENCE = random(7, 3, 4, seed=3)  # steps, samples, inputs


def recurrent(kind: str, direction: str = "forward", bias: bool = True, **attributes: Any) -> onnx.ModelProto:
    gates, units, ways = STATES[kind], 5, 2 if direction == "bidirectional" else 1
    weights = random(ways, gates * units, 4, seed=4), random(ways, gates * units, units, seed=5)
    biases = (random(ways, 2 * gates * units, seed=6),) if bias else ()
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    outputs = 3 if kind == "LSTM" else 2
    attributes = {"hidden_size": units, "direction": direction, "outputs": outputs} | more | attributes
    return one(kind, SEQUENCE, *weights, *biases, **attributes)


def answers(module: torch.nn.Module, x: np.ndarray) -> list[np.ndarray]:
    outputs = module(torch.from_numpy(x))
    return [item.numpy() for item in (outputs if isinstance(outputs, list | tuple) else [outputs])]


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one_, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one_, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_answers_as_onnx_defines_it(name: str, tmp_path: Path):
    """As a module, traced by FX, and exported for another batch."""
    graph = OPERATORS[name]
    x = random(3, *(dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim[1:]))
    expected = reference(graph, x)
    with torch.no_grad():
        module = convert.to_module(saved(graph, tmp_path))
        same(answers(module, x), expected)
        traced = pt2e.retrace_module(module)
        assert traced is not module, "FX can't trace it"
        size = torch.export.Dim("batch")
        program = torch.export.export(traced, (torch.from_numpy(x),), dynamic_shapes=({0: size},)).module()
        same(answers(program, x[:2]), [value[:2] for value in expected])


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_recurrent_layer_answers_as_onnx_defines_it(kind: str, direction: str, tmp_path: Path):
    """ONNX's reference has neither the reverse nor the second direction: those are this one, turned round."""
    graph = recurrent(kind, direction)
    with torch.no_grad():
        module = convert.to_module(saved(graph, tmp_path))
        steps, last = answers(module, SEQUENCE)[:2]
    halves = [half(graph, kind, way) for way in range(2 if direction == "bidirectional" else 1)]
    for way, alone in enumerate(halves):
        back = direction == "reverse" or way == 1
        expected, final = reference(alone, SEQUENCE[::-1] if back else SEQUENCE)[:2]
        np.testing.assert_allclose(steps[:, way], expected[::-1, 0] if back else expected[:, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(last[way], final[0], rtol=1e-4, atol=1e-5)


def half(graph: onnx.ModelProto, kind: str, way: int) -> onnx.ModelProto:
    """The forward layer with the weights of one direction."""
    weights = [onnx.numpy_helper.to_array(tensor)[way : way + 1] for tensor in graph.graph.initializer]
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    return one(kind, SEQUENCE, *weights, hidden_size=5, outputs=3 if kind == "LSTM" else 2, **more)


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (recurrent("GRU", linear_before_reset=0), "GRU with its reset before the product is not implemented"),
        (recurrent("LSTM", clip=1.0), "LSTM with clip is not implemented"),
        (resized("cubic", "half_pixel"), "Resize with cubic interpolation and half_pixel is not implemented"),
        (resized("linear", "asymmetric"), "Resize with linear interpolation and asymmetric is not implemented"),
        (
            one("AveragePool", X, kernel_shape=[2, 2], dilations=[2, 2], opset=19),
            "AveragePool with dilations is not implemented",
        ),
    ],
)
def test_what_pytorch_would_compute_otherwise_is_refused(graph: onnx.ModelProto, reason: str, tmp_path: Path):
    with pytest.raises(Unsupported) as caught:
        convert.to_module(saved(graph, tmp_path))
    operator = reason.partition(" ")[0]
    assert str(caught.value) == f"onnx2torch can't convert this model at {operator} 'layer': {reason}"


def test_the_groups_of_a_transposed_convolution_are_each_of_their_own(tmp_path: Path):
    """ONNX's reference doesn't know groups: each is a convolution of its half of the channels."""
    weight, settings = random(4, 2, 3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}
    halves = [
        reference(one("ConvTranspose", X[:, half], weight[half], **settings), X[:, half])[0]
        for half in (slice(2), slice(2, 4))
    ]
    module = convert.to_module(saved(one("ConvTranspose", X, weight, group=2, **settings), tmp_path))
    with torch.no_grad():
        same(answers(module, X), [np.concatenate(halves, axis=1)])


def test_a_transposed_convolution_is_one_module_that_can_be_quantized(tmp_path: Path):
    module = convert.to_module(saved(OPERATORS["ConvTranspose-uneven"], tmp_path))
    assert sum(isinstance(item, torch.nn.ConvTranspose2d) for item in module.modules()) == 1


@pytest.mark.parametrize("name", ["PRelu-channels", "PRelu-one"])
def test_a_prelu_is_not_pytorchs_layer_whose_quantized_form_answers_otherwise(name: str, tmp_path: Path):
    module = convert.to_module(saved(OPERATORS[name], tmp_path))
    assert not any(isinstance(item, torch.nn.PReLU) for item in module.modules())


def test_a_converted_recurrent_layer_can_be_shipped(tmp_path: Path):
    with torch.no_grad():
        module = convert.to_module(saved(recurrent("LSTM"), tmp_path))
        traced = torch.jit.freeze(torch.jit.trace(module.eval(), torch.from_numpy(SEQUENCE[:, :2]), check_trace=False))
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
        same(answers(traced, SEQUENCE), reference(recurrent("LSTM"), SEQUENCE))
