"""PyTorch's FX quantizer: all layers in 8 bits, or a message that says why not."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from images.torch import convert, quantize
from images.torch.quantize import fx, recipe
from images.torch.runtime import formats, script
from shared.errors import CrossquantError, Unsupported
from shared.runner import threads
from tests.images import models
from tests.images.torch.stages import answers, defaults

NONE_OF_THREE = "PyTorch quantized 0 of 3 convolutions and linear layers, without an error"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, 120 calibration images, and room for what is made of them: quantizing takes seconds."""
    folder = tmp_path_factory.mktemp("shared")
    models.convolutional(folder)
    np.save(folder / "input_0.npy", models.images(120))
    return folder


@pytest.fixture(scope="module")
def quantized(shared: Path) -> Callable[[str], Path]:
    """By backend, the artifact of the default recipe; made once."""

    @cache
    def make(backend: str) -> Path:
        out = shared / backend
        out.mkdir()
        run(shared, shared, out, backend=backend)
        return out

    return make


@pytest.fixture(scope="module")
def converted(shared: Path) -> Callable[[str], torch.fx.GraphModule]:
    """By backend, the quantized module before it is traced and written; made once."""

    @cache
    def make(backend: str) -> torch.fx.GraphModule:
        torch.backends.quantized.engine = backend
        with torch.no_grad():
            return fx.quantize(convert.to_module(shared), recipe.Recipe(backend).mapping(), shared)

    return make


def run(source: Path, calibration: Path, out: Path, **settings: object) -> None:
    quantize.run(source, calibration, out, **{**defaults("quantize"), **settings})


def counted(folder: Path) -> dict[str, object]:
    return json.loads((folder / formats.QUANTIZED_JSON).read_text())


@pytest.mark.parametrize("backend", ["fbgemm", "x86"])
def test_every_layer_is_quantized_with_signed_weights(backend: str, converted: Callable[[str], torch.fx.GraphModule]):
    module = converted(backend)
    layers = [layer for layer in module.modules() if isinstance(layer, fx.QUANTIZED)]
    assert len(layers) == 3
    assert {layer.weight().dtype for layer in layers} == {torch.qint8}
    assert fx.count_products(module, fx.COMPUTING) == 0


@pytest.mark.parametrize("backend", ["fbgemm", "x86", "onednn", "qnnpack"])
def test_the_file_is_written_with_its_engine_and_counts(backend: str, quantized: Callable[[str], Path]):
    folder = quantized(backend)
    assert counted(folder) == {"engine": backend, "quantized": 3, "operators": 3, "path": "fx"}
    code = str(torch.jit.load(folder / script.FILE).inlined_graph)
    assert code.count("quantized::conv2d") == 2
    assert code.count("quantized::linear") == 1


@pytest.mark.parametrize("backend", ["fbgemm", "x86"])
def test_the_loaded_file_answers_as_the_converted_module(
    backend: str, quantized: Callable[[str], Path], converted: Callable[[str], torch.fx.GraphModule]
):
    folder, module = quantized(backend), converted(backend)
    torch.backends.quantized.engine = backend
    images = models.images(7)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_array_equal(answers(folder, images), expected)


def test_the_quantized_file_answers_nearly_as_the_float_one(shared: Path, quantized: Callable[[str], Path], out: Path):
    convert.run(shared, out)
    images = models.images(20)
    difference = np.abs(answers(quantized("fbgemm"), images) - answers(out, images)).max()
    assert 0 < difference < 0.05


@pytest.mark.parametrize("default", ["qnnpack", "onednn", "fbgemm"])
def test_loading_sets_the_recipes_engine_whatever_the_process_has(default: str, quantized: Callable[[str], Path]):
    """Weights are packed for the engine of the moment: the wrong one gives another speed and other roundings."""
    folder = quantized("x86")
    torch.backends.quantized.engine = default
    answers(folder, models.images(3))
    assert torch.backends.quantized.engine == "x86"


def test_quantizing_sets_the_recipes_engine(shared: Path, out: Path):
    """Weights are packed for it as they are converted."""
    torch.backends.quantized.engine = "x86"
    run(shared, shared, out, backend="qnnpack")
    assert torch.backends.quantized.engine == "qnnpack"


def test_the_ranges_come_from_all_calibration_images(
    shared: Path, quantized: Callable[[str], Path], tmp_path: Path, out: Path
):
    """The same model over the first full batch alone: if the short one were dropped, the answers would be the same."""
    np.save(tmp_path / "input_0.npy", models.images(120)[: fx.BATCH])
    run(shared, tmp_path, out)
    images = models.images(20)
    assert (answers(quantized("fbgemm"), images) != answers(out, images)).any()


def test_unsigned_weights_are_unsupported_in_pytorchs_own_words(shared: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        run(shared, shared, out, weight="quint8")
    own = "PyTorch's eager mode says: Weight observer must have a dtype of qint8, got torch.quint8"
    assert str(caught.value) == f"{NONE_OF_THREE}; {own}"
    assert not list(out.iterdir())


def test_signed_activations_are_unsupported(shared: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        run(shared, shared, out, activation="qint8")
    assert str(caught.value).startswith(NONE_OF_THREE)
    assert not list(out.iterdir())


def test_a_matrix_product_is_quantized_as_a_linear_layer(shared: Path, tmp_path: Path, out: Path):
    """A dense layer without bias is a MatMul, which FX leaves in float: the graph is rewritten, and says so."""
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 4)
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    product = graph.add("MatMul", graph.weight(4, 10))
    run(graph.save(tmp_path), shared, out)
    assert counted(out) == {
        "engine": "fbgemm",
        "quantized": 2,
        "operators": 2,
        "path": "fx-rewritten",
        "rewritten": [f"{product} as a linear layer"],
    }


def test_a_model_without_anything_to_quantize_is_unsupported(shared: Path, tmp_path: Path, out: Path):
    graph = models.Graph()
    graph.add("Mul", graph.constant(1, 8, 8, 3))
    graph.add("Relu")
    with pytest.raises(Unsupported) as caught:
        run(graph.save(tmp_path, ("batch", 8, 8, 3)), shared, out)
    assert str(caught.value) == "PyTorch quantized 0 of 0 convolutions and linear layers, without an error"


@pytest.mark.parametrize("count", [1, 2])
def test_the_model_runs_on_the_threads_asked_for(count: int, quantized: Callable[[str], Path]):
    torch.set_num_threads(3)
    formats.load(quantized("fbgemm"), count)
    assert torch.get_num_threads() == count


def test_other_threads_than_asked_for_are_refused():
    torch.set_num_threads(2)
    with pytest.raises(CrossquantError) as caught:
        threads.check("PyTorch", 1, torch.get_num_threads())
    assert str(caught.value) == (
        "PyTorch runs 2 threads instead of 1: timings would be of something else; "
        "unset what sets its threads in the environment and run again"
    )


QUANTIZE = """
import sys
from pathlib import Path
from images.torch import quantize
source, out = map(Path, sys.argv[1:3])
settings = sys.argv[3]
quantize.run(source, source, out, **eval(settings))
print(*{"sympy", "torch._inductor", "torch.distributed.tensor"} & set(sys.modules))
"""


def test_quantizing_imports_no_compiler(shared: Path, out: Path):
    """Each is half a second or more that every fork would pay again."""
    done = subprocess.run(
        [sys.executable, "-c", QUANTIZE, shared, out, repr(defaults("quantize"))],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == ""
