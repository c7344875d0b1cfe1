"""Unusual but valid graphs in PyTorch: the same answers for batches of any size, or a refusal."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from images.torch import convert
from images.torch.runtime import formats, script
from shared.data import examples
from shared.data.examples import Example
from shared.errors import Unsupported
from tests.images.torch.graphs import model, one, random, reference, saved

X, FLAT = random(5, 4, 6, 8), random(5, 6)
LOW, HIGH = np.float32(-0.3), np.float32(0.4)


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def padded(mode: str, x: np.ndarray, *pads: int, opset: int = 18) -> tuple[onnx.ModelProto, np.ndarray]:
    return one("Pad", x, integers(*pads), mode=mode, opset=opset), x


CASES = {
    "Clip-low": (one("Clip", X, LOW), X),
    "Clip-low-empty": (one("Clip", X, LOW, None), X),
    "Clip-high": (one("Clip", X, None, HIGH), X),
    "Clip-neither": (one("Clip", X, None, None), X),
    "Clip-bare": (one("Clip", X), X),
    "Pad-reflect-2": padded("reflect", FLAT, 0, 1, 0, 2),
    "Pad-edge-2": padded("edge", FLAT, 0, 1, 0, 2),
    "Pad-reflect-channels": padded("reflect", X, 0, 1, 0, 0, 0, 2, 1, 0),
    "Pad-edge-channels": padded("edge", X, 0, 1, 0, 0, 0, 2, 1, 0),
    "Pad-wrap": padded("wrap", X, 0, 0, 1, 0, 0, 0, 0, 2, opset=19),
    "Dropout-ratio": (one("Dropout", X, np.float32(0.5)), X),
    "Dropout-off": (one("Dropout", X, None, np.array(False)), X),
    "Slice-no-axes": (one("Slice", X, integers(0, 1), integers(9, 3), None, integers(1, 2)), X),
}


@pytest.mark.parametrize("name", CASES)
def test_an_optional_input_may_be_left_out(name: str, tmp_path: Path, out: Path):
    graph, x = CASES[name]
    [wanted] = reference(graph, x)
    source = saved(graph, tmp_path / "onnx")
    examples.write(Example((x,), (wanted,)), source)
    convert.run(source, out)
    predict = formats.load(out, 1)
    np.testing.assert_allclose(predict((x,))[0], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predict((x[:1],))[0], wanted[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batches", [1, 2])
def test_a_trace_that_holds_its_batch_is_not_written(batches: int, out: Path):
    """It may fail on another batch, or answer as many samples as it was traced with."""

    class Baked(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(int(x.shape[0]), -1) if batches == 1 else x.new_zeros(int(x.shape[0]), 1) + x[:1]

    with pytest.raises(Unsupported, match=r"PyTorch's trace holds its example's batch of 3: .*2 samples"):
        script.save_module(Baked().eval(), ((torch.rand(3, 4),), (torch.rand(2, 4),)), out)
    assert not list(out.iterdir())


def test_a_module_that_answers_otherwise_than_onnx_runtime_is_unsupported(tmp_path: Path, out: Path):
    graph = one("Relu", X)
    source = saved(graph, tmp_path / "onnx")
    examples.write(Example((X,), (X,)), source)  # as if ONNX Runtime let negative values pass
    with pytest.raises(Unsupported, match="gives other answers than ONNX Runtime: output 0 for 3 samples is off by"):
        convert.run(source, out)


def test_the_second_output_of_an_operator_alone(tmp_path: Path, out: Path):
    """onnx2torch gives all that the operator makes."""
    node = helper.make_node("TopK", ["x", "k"], ["values", "places"], name="top", axis=1)
    graph = model([node], FLAT, ["places"], {"k": integers(2)})
    wanted = reference(graph, FLAT)
    source = saved(graph, tmp_path / "onnx")
    examples.write(Example((FLAT,), tuple(wanted)), source)
    convert.run(source, out)
    np.testing.assert_array_equal(formats.load(out, 1)((FLAT,))[0], wanted[0])


def test_an_operator_of_another_domain_has_a_name_that_pytorch_takes(tmp_path: Path):
    module = convert.to_module(saved(one("QuickGelu", X, domain="com.microsoft"), tmp_path))
    assert [name for name, _ in module.named_children() if "layer" in name] == ["com/microsoft/layer"]


@pytest.mark.parametrize("name", ["half", "float", "train", "type"])
def test_a_node_may_be_called_like_a_method_of_pytorch(name: str, tmp_path: Path, out: Path):
    made = model([helper.make_node("Relu", ["x"], ["y"], name=name)], X, ["y"], {})
    convert.run(saved(made, tmp_path), out)


def test_samples_are_cast_to_what_the_model_takes(tmp_path: Path, out: Path):
    ids = np.arange(10, dtype=np.int64).reshape(5, 2)
    graph = model([helper.make_node("Cast", ["x"], ["y"], name="cast", to=TensorProto.FLOAT)], ids, ["y"], {})
    convert.run(saved(graph, tmp_path / "onnx"), out)
    np.testing.assert_array_equal(formats.load(out, 1)((ids.astype(np.float32),))[0], ids)


def test_a_graph_that_can_not_be_rewritten_keeps_its_own_refusal(tmp_path: Path, out: Path):
    """An operator of a domain that the file doesn't import: the rewriting looks for its version."""
    graph = one("LpPool", X, kernel_shape=[2, 2])
    graph.graph.node[0].domain = "somewhere"
    with pytest.raises(Unsupported) as caught:
        convert.run(saved(graph, tmp_path / "onnx"), out)
    assert "onnx2torch can't convert this model" in str(caught.value)
