"""Sizes that a graph computes from shapes: any batch gets ONNX's answers, as TorchScript, traced by FX and exported."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from images.torch import convert, pt2e, quantize
from images.torch.quantize import fx
from images.torch.runtime import formats
from shared.data import examples
from shared.data.examples import Example
from shared.errors import Unsupported
from tests.images.torch.graphs import model, random, reference, saved
from tests.images.torch.stages import defaults

X = random(5, 4, 6)
CONSTANTS = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "last": np.array([-1]),
    "width": np.array([6]),
    "scalar": np.array(0),
    "step": np.array(1),
    "number": np.array(2, np.int64),
    "minus": np.array([-1, -1, -1]),
    "ones": np.array([1, 1, 1]),
    "token": random(1, 1, 6, seed=1),
    "table": random(9, 6, seed=2),
    "limit": np.array(9),
    "floats": np.float32(2),
    "least": np.array([3]),
    "row": random(1, 6, seed=3),
}


def node(kind: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    *inputs, output = names
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


SHAPE = node("Shape", "x", "shape")
BATCH = node("Slice", "shape", "zero", "one", "batch")
STEPS = node("Slice", "shape", "one", "two", "steps")
GRAPHS = {
    "Expand-class-token": [
        node("Concat", "batch", "one", "width", "target", axis=0),
        node("Expand", "token", "target", "tokens"),
        node("Concat", "tokens", "x", "y", axis=1),
    ],
    "Expand-higher-rank": [
        node("Concat", "batch", "steps", "width", "target", axis=0),
        node("Expand", "row", "target", "rows"),
        node("Add", "rows", "x", "y"),
    ],
    "Expand-kept-sizes": [
        node("Equal", "minus", "last", "wanted"),
        node("Where", "wanted", "shape", "ones", "target"),
        node("Expand", "token", "target", "y"),
    ],
    "Tile": [
        node("Concat", "batch", "one", "one", "repeats", axis=0),
        node("Tile", "token", "repeats", "tokens"),
        node("Concat", "tokens", "x", "y", axis=1),
    ],
    "ConstantOfShape": [
        node("ConstantOfShape", "shape", "zeros"),
        node("Greater", "x", "zeros", "positive"),
        node("Where", "positive", "x", "zeros", "y"),
    ],
    "Reshape-product": [
        node("ReduceProd", "shape", "all", keepdims=1),
        node("Div", "all", "width", "rows"),
        node("Concat", "rows", "width", "target", axis=0),
        node("Reshape", "x", "target", "flat"),
        node("Relu", "flat", "positive"),
        node("Reshape", "positive", "shape", "y"),
    ],
    "Reshape-zero": [
        node("Concat", "zero", "last", "two", "target", axis=0),
        node("Sub", "target", "zero", "same"),
        node("Mul", "batch", "zero", "nothing"),
        node("Add", "same", "nothing", "computed"),
        node("Reshape", "x", "computed", "y"),
    ],
    "Range-places": [
        node("Squeeze", "steps", "zero", "count"),
        node("Range", "scalar", "count", "step", "places"),
        node("Gather", "table", "places", "placed"),
        node("Add", "x", "placed", "y"),
    ],
    "Range-causal": [
        node("Squeeze", "steps", "zero", "count"),
        node("Range", "scalar", "count", "step", "places"),
        node("Unsqueeze", "places", "one", "rows"),
        node("GreaterOrEqual", "rows", "places", "earlier"),
        node("Cast", "earlier", "mask", to=TensorProto.FLOAT),
        node("MatMul", "mask", "x", "y"),
    ],
    "Slice-end": [
        node("Div", "steps", "two", "half"),
        node("Slice", "x", "zero", "half", "one", "y"),
    ],
    "Slice-from-the-end": [
        node("Sub", "zero", "one", "back"),
        node("Sub", "steps", "one", "end"),
        node("Slice", "x", "back", "steps", "one", "first"),
        node("Slice", "x", "zero", "end", "one", "second"),
        node("Concat", "second", "first", "y", axis=1),
    ],
    "Max-broadcast": [
        node("Slice", "token_shape", "zero", "two", "short"),
        node("Slice", "shape", "zero", "two", "long"),
        node("Max", "short", "long", "greater"),
        node("Concat", "greater", "width", "target", axis=0),
        node("Expand", "token", "target", "tokens"),
        node("Mul", "tokens", "x", "y"),
    ],
    "Size-as-a-number": [
        node("Size", "x", "count"),
        node("Cast", "count", "values", to=TensorProto.FLOAT),
        node("Cast", "batch", "samples", to=TensorProto.FLOAT),
        node("Div", "values", "samples", "each"),
        node("Div", "x", "each", "y"),
    ],
    "Gather-and-Cast": [
        node("Cast", "shape", "narrow", to=TensorProto.INT32),
        node("Gather", "narrow", "scalar", "first", axis=0),
        node("Unsqueeze", "first", "zero", "rows"),
        node("Cast", "rows", "wide", to=TensorProto.INT64),
        node("Concat", "wide", "last", "target", axis=0),
        node("Reshape", "x", "target", "y"),
    ],
}


def graph(name: str, steps: int | str = 4) -> onnx.ModelProto:
    """The graph with an open batch, and as many steps as the file states, if it states them."""
    nodes = [SHAPE, node("Shape", "token", "token_shape"), BATCH, STEPS, *GRAPHS[name]]
    read = {item for each in nodes for item in each.input}
    kept = {key: value for key, value in CONSTANTS.items() if key in read}
    made = model(nodes, X, ["y"], kept)
    made.graph.input[0].type.tensor_type.shape.dim[1].Clear()
    dim = made.graph.input[0].type.tensor_type.shape.dim[1]
    if isinstance(steps, str):
        dim.dim_param = steps
    else:
        dim.dim_value = steps
    del made.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(made, data_prop=True)


@pytest.mark.parametrize("steps", [4, "steps"])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_answers_are_right_for_any_batch(name: str, steps: int | str, tmp_path: Path, out: Path):
    """For other lengths too, if the file leaves the length open."""
    made = graph(name, steps)
    source = saved(made, tmp_path / "onnx")
    if isinstance(steps, str):
        [expected] = reference(made, X)
        examples.write(Example((X,), (expected,)), source) if len(expected) == len(X) else None
    convert.run(source, out)
    model_of_file = formats.load(out, 1)
    lengths = (4, 6, 2) if isinstance(steps, str) else (4,)
    for count, length in [(count, length) for count in (1, 3, 5) for length in lengths]:
        x = random(count, length, 6, seed=count)
        [expected] = reference(made, x)
        [actual] = model_of_file((x,))
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", GRAPHS)
def test_fx_and_torch_export_follow_the_sizes(name: str, tmp_path: Path):
    made = graph(name)
    with torch.no_grad():
        module = convert.to_module(saved(made, tmp_path))
        traced = pt2e.retrace_module(module)
        assert traced is not module, "FX can't trace it"
        size = torch.export.Dim("batch")
        program = torch.export.export(traced, (torch.from_numpy(X),), dynamic_shapes=({0: size},)).module()
        for count in (2, 5):
            [expected] = reference(made, X[:count])
            np.testing.assert_allclose(program(torch.from_numpy(X[:count])).numpy(), expected, rtol=1e-5, atol=1e-6)


FROM_DATA = {
    "Expand": [node("Cast", "x", "ids", to=TensorProto.INT64), node("Expand", "token", "sizes", "y")],
    "Tile": [node("Tile", "token", "sizes", "y")],
    "ConstantOfShape": [node("ConstantOfShape", "sizes", "y")],
    "TopK": [helper.make_node("TopK", ["x", "largest"], ["y", "places"], name="top")],
    "Range": [node("Squeeze", "largest", "zero", "count"), node("Range", "scalar", "count", "step", "y")],
}


@pytest.mark.parametrize("kind", FROM_DATA)
def test_a_size_that_is_data_is_refused(kind: str, tmp_path: Path, out: Path):
    """Both batches of the example could have the same largest value, and the trace would hold it."""
    nodes = [
        node("ReduceMax", "x", "most", axes=[0, 1, 2], keepdims=0),
        node("Cast", "most", "whole", to=TensorProto.INT64),
        node("Unsqueeze", "whole", "zero", "largest"),
        node("Concat", "largest", "one", "width", "sizes", axis=0),
        *FROM_DATA[kind],
    ]
    read = {item for each in nodes for item in each.input}
    made = model(nodes, X, ["y"], {key: value for key, value in CONSTANTS.items() if key in read})
    with pytest.raises(Unsupported, match="is computed from data, which no trace of PyTorch follows"):
        convert.run(saved(made, tmp_path / "onnx"), out)


WORDS, LENGTH, WIDTH = 40, 8, 16


def transformer() -> onnx.ModelProto:
    """Token ids, looked up; attention with the mask of the padding and of later words, as tf2onnx writes it."""
    nodes = [
        node("Gather", "words", "text", "known"),
        node("Shape", "text", "shape"),
        node("Slice", "shape", "first", "second", "batch"),
        node("Equal", "text", "nothing", "empty"),
        node("Not", "empty", "word"),
        node("Unsqueeze", "word", "second", "padding"),
        node("Concat", "batch", "length", "length", "target", axis=0),
        node("Expand", "triangle", "target", "earlier"),
        node("And", "earlier", "padding", "seen"),
        *(node("MatMul", "known", f"w_{name}", name) for name in ("query", "key", "value")),
        node("Transpose", "key", "turned", perm=[0, 2, 1]),
        node("MatMul", "query", "turned", "products"),
        node("Where", "seen", "products", "never", "scores"),
        node("Softmax", "scores", "shares", axis=-1),
        node("MatMul", "shares", "value", "attended"),
        node("MatMul", "attended", "w_last", "last"),
        node("Relu", "last", "positive"),
        node("MatMul", "positive", "w_answer", "answer"),
    ]
    constants = {
        "words": random(WORDS, WIDTH, seed=1),
        "first": np.array([0]),
        "second": np.array([1]),
        "nothing": np.array(0, np.int32),
        "length": np.array([LENGTH]),
        "triangle": np.tri(LENGTH, dtype=bool)[None],
        "never": np.float32(-20),
        **{f"w_{name}": random(WIDTH, WIDTH, seed=2) / 4 for name in ("query", "key", "value", "last", "answer")},
    }
    takes = helper.make_tensor_value_info("text", TensorProto.INT32, ("batch", LENGTH))
    gives = onnx.ValueInfoProto(name="answer")
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "transformer", [takes], [gives], initializers)
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made, data_prop=True)


def texts(count: int) -> np.ndarray:
    """Texts of any length, with zeros after their end."""
    generator = np.random.default_rng(count)
    words = generator.integers(1, WORDS, (count, LENGTH))
    return np.where(np.arange(LENGTH) < generator.integers(1, LENGTH, (count, 1)), words, 0).astype(np.int32)


@pytest.mark.parametrize("observer", ["default", "minmax"])
def test_a_transformer_with_a_mask_is_converted_and_quantized(observer: str, tmp_path: Path, out: Path):
    made, calibration = transformer(), tmp_path / "calibration"
    source = saved(made, tmp_path / "onnx")
    calibration.mkdir()
    np.save(calibration / "input_0.npy", texts(120))
    (calibration / "about.json").write_text('{"dtypes": ["int32"]}')
    quantize.run(source, calibration, out, **defaults("quantize") | {"backend": "x86", "observer": observer})
    about = formats.read_json(out)
    assert about["path"].startswith("fx")
    assert about["quantized"] >= 5
    exact_folder = tmp_path / "float"
    exact_folder.mkdir()
    convert.run(source, exact_folder)
    for count in (1, 9):
        [expected] = onnx_answers(made, texts(count))
        np.testing.assert_allclose(formats.load(exact_folder, 1)((texts(count),))[0], expected, rtol=1e-4, atol=1e-5)
        answers = formats.load(out, 1)((texts(count),))[0]
        assert 10 * np.log10(np.square(expected).sum() / np.square(expected - answers).sum()) > 12


def onnx_answers(made: onnx.ModelProto, words: np.ndarray) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - for this test alone

    return ReferenceEvaluator(made).run(None, {"text": words})


def test_no_observer_is_left_on_integers_masks_or_sizes(tmp_path: Path):
    """A histogram of token ids fails, and their range would round them."""
    np.save(tmp_path / "input_0.npy", texts(20))
    source = saved(transformer(), tmp_path / "onnx")
    with torch.no_grad():
        module = convert.to_module(source)
        prepared = fx.prepare(module, quantize.Recipe("x86").mapping(), tmp_path)
        observed = Observed(prepared)
        observed.run(torch.from_numpy(texts(3)))
    assert observed.types == {torch.float32}


class Observed(torch.fx.Interpreter):
    """Runs the graph, and collects the types of what observers see."""

    def __init__(self, prepared: torch.fx.GraphModule) -> None:
        super().__init__(prepared)
        self.types: set[Any] = set()

    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op == "call_module" and isinstance(self.fetch_attr(n.target), torch.ao.quantization.ObserverBase):
            [value], _ = self.fetch_args_kwargs_from_env(n)
            self.types.add(value.dtype if isinstance(value, torch.Tensor) else type(value))
        return super().run_node(n)
