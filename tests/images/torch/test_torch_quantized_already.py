"""A model that is quantized already: no recipe of this image quantizes it, and the operator that it lacks is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from images.torch import accuracy_aware, convert, operator_support, pt2e, quantize
from shared.errors import Unsupported
from shared.quantization import already
from tests.images import models
from tests.images.sample_folders import save_samples
from tests.images.torch.stages import defaults


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder onnx.fp32 of a model that rounds its input to 8 bits."""
    folder = models.convolutional(tmp_path / "onnx")
    loaded = onnx.load(folder / models.FILE)
    first = loaded.graph.node[0]
    nodes = [
        helper.make_node("QuantizeLinear", [first.input[0], "scale", "zero"], ["codes"], name="round"),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["rounded"], name="restore"),
    ]
    first.input[0] = "rounded"
    for number, node in enumerate(nodes):
        loaded.graph.node.insert(number, node)
    values = {"scale": np.float32(1), "zero": np.uint8(0)}
    loaded.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    onnx.save(loaded, folder / models.FILE)
    already.write(already.find_operators(node.op_type for node in loaded.graph.node), folder)
    return folder


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    return save_samples(tmp_path / "samples", models.images(20), about={"task": "fidelity"})


def test_the_operator_that_onnx2torch_lacks_is_named(model: Path, out: Path):
    with pytest.raises(Unsupported, match=r"^onnx2torch can't convert this model at QuantizeLinear 'round': "):
        convert.run(model, out)


@pytest.mark.parametrize("recipe", ["fx", "pt2e", "auto"])
def test_no_recipe_quantizes_it_again(recipe: str, model: Path, samples: Path, out: Path):
    runs: dict[str, Callable[[], None]] = {
        "fx": lambda: quantize.run(model, samples, out, **defaults("quantize")),
        "pt2e": lambda: pt2e.run(model, samples, out, **defaults("pt2e")),
        "auto": lambda: accuracy_aware.run(model, samples, samples, out, **defaults("accuracy_aware")),
    }
    with pytest.raises(
        Unsupported, match=r"^the model is quantized already \(DequantizeLinear, QuantizeLinear\): give"
    ):
        runs[recipe]()
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("find", [operator_support.find_fx_modules, operator_support.find_pt2e_modules])
def test_inspection_tells_it(find: Callable[[Path, Path], set[str]], model: Path, samples: Path):
    assert operator_support.find_refusal(lambda: find(model, samples)).startswith("the model is quantized already")
