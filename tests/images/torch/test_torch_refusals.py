"""Whatever PyTorch raises for a model is a refusal in its own words; what has nothing to do with the model is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper

from images.torch import quantize
from images.torch.quantize import fx
from images.torch.refusals import refusals
from images.torch.runtime import exported, script
from shared.errors import CrossquantError, Unsupported
from tests.images.torch.graphs import model, random, reference, saved
from tests.images.torch.stages import defaults


class Raises(torch.nn.Module):
    """Raises an exception when it is run, or when it is run for another number of samples than 3."""

    def __init__(self, error: Exception, always: bool = True) -> None:
        super().__init__()
        self.error, self.always = error, always

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.always or len(x) != 3:
            raise self.error
        return x + 1


BATCHES = ((torch.rand(3, 4),), (torch.rand(2, 4),))
UNFORESEEN = [TypeError("no such type"), KeyError("name"), AssertionError("it must"), ZeroDivisionError("by zero")]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("always", [True, False])
def test_a_trace_that_raises_anything_is_a_refusal(always: bool, error: Exception, out: Path):
    words = "PyTorch can't trace this model: " if always else "PyTorch can't run this model: "
    with pytest.raises(Unsupported, match=f"^{words}{type(error).__name__}: "):
        script.save_module(Raises(error, always).eval(), BATCHES, out)
    assert not list(out.iterdir())


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_export_that_raises_anything_is_a_refusal(error: Exception):
    with pytest.raises(Unsupported, match=r"^torch\.export can't follow this model"):
        exported.export_module(Raises(error).eval(), BATCHES[0])


class Unsteady(torch.nn.Module):
    """Its answers to two samples, which FX is shown, are those of a model; to more it raises."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.view(x, [2, 4])


def test_calibration_that_fails_is_a_refusal(tmp_path: Path):
    np.save(tmp_path / "input_0.npy", random(20, 4))
    module = torch.fx.symbolic_trace(Unsteady().eval())
    with pytest.raises(Unsupported, match=r"^PyTorch can't calibrate this model: "):
        fx.prepare(module, quantize.Recipe("x86").mapping(), tmp_path)


@pytest.mark.parametrize("error", [MemoryError(), OSError("no space"), CrossquantError("fix this")], ids=repr)
def test_what_is_not_the_models_fault_is_passed_on(error: Exception, out: Path):
    with pytest.raises(type(error)) as caught:
        script.save_module(Raises(error).eval(), BATCHES, out)
    assert not isinstance(caught.value, Unsupported)


def test_memory_that_pytorch_lacks_is_no_refusal():
    with pytest.raises(MemoryError, match="can't allocate memory"), refusals("PyTorch can't run this model"):
        torch.empty(1 << 50)


def test_a_folder_that_is_not_there_is_no_refusal(tmp_path: Path):
    with torch.no_grad(), pytest.raises(OSError, match="Parent directory"):
        script.save_module(torch.nn.Linear(4, 2).eval(), BATCHES, tmp_path / "nowhere")


def test_an_error_in_our_own_code_is_no_refusal():
    """This image's folder is called torch, too."""
    with pytest.raises(KeyError), refusals("PyTorch can't run this model"):
        fx.operation_of(torch.fx.Graph().call_module("nothing"), {})


@pytest.mark.parametrize("kind", ["Softmax", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("before", ["Where", "Div"])
def test_what_comes_before_a_softmax_is_not_clipped_to_its_range(before: str, kind: str, tmp_path: Path, out: Path):
    """PyTorch doesn't observe either, and would take the range of what comes after: 0 to 1."""
    x = random(200, 16)
    constants: dict[str, Any] = {"weight": random(16, 16, seed=1) / 2, "zero": np.float32(0), "low": np.float32(-3)}
    inner = {
        "Where": [
            helper.make_node("Greater", ["a", "zero"], ["seen"], name="seen"),
            helper.make_node("Where", ["seen", "a", "low"], ["b"], name="where"),
        ],
        "Div": [helper.make_node("Div", ["a", "half"], ["b"], name="div")],
    }
    constants["half"] = np.float32(0.5)
    nodes = [helper.make_node("MatMul", ["x", "weight"], ["a"], name="dense"), *inner[before]]
    nodes.append(helper.make_node(kind, ["b"], ["y"], name="last"))
    read = {name for node in nodes for name in node.input}
    made = model(nodes, x, ["y"], {name: value for name, value in constants.items() if name in read})
    np.save(tmp_path / "input_0.npy", x)
    quantize.run(saved(made, tmp_path / "onnx"), tmp_path, out, **defaults("quantize") | {"backend": "x86"})
    [expected] = reference(made, x)
    [answers] = quantize.formats.load(out, 1)((x,))
    assert 10 * np.log10(np.square(expected).sum() / np.square(expected - answers).sum()) > 15
