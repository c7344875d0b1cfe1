"""The options of a recipe reach the model: observers, weights, layers in float; impossible ones are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from images.torch import quantize as stage
from images.torch.quantize import exclusion, fx, recipe
from images.torch.quantize.trials import TrialModels
from images.torch.runtime import formats, script
from shared.errors import CrossquantError, Unsupported
from tests.images import models
from tests.images.peak_memory import measure_peak
from tests.images.torch.stages import answers, defaults


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is folded but for one Mul and Add, and ten images."""
    folder = tmp_path_factory.mktemp("source")
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.weight(4, 3, 3, 3), graph.weight(4), pads=[1, 1, 1, 1])
    skip = graph.add("Relu")
    graph.add("Conv", graph.weight(4, 4, 3, 3), graph.weight(4), pads=[1, 1, 1, 1])
    graph.add("Add", skip)
    graph.add("Relu")
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.dense(4, 10)
    graph.add("Softmax")
    np.save(folder / "input_0.npy", models.images(10))
    return graph.save(folder)


def quantized(folder: Path, exclude: tuple[str, ...] = (), **settings: object) -> torch.fx.GraphModule:
    wanted = recipe.Recipe(**{"backend": "onednn", **settings})
    with torch.no_grad():
        return TrialModels(folder, wanted, exclude, folder).quantize(())


def weights(module: torch.fx.GraphModule) -> list[torch.Tensor]:
    return [layer.weight() for layer in module.modules() if isinstance(layer, fx.QUANTIZED)]


def kinds(module: torch.fx.GraphModule) -> dict[str, bool]:
    """By the name of each convolution and linear layer: is it quantized?"""
    types = (*fx.QUANTIZED, *fx.COMPUTING)
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, types)]
    return {name.split(".")[0]: isinstance(layer, fx.QUANTIZED) for name, layer in layers}


def test_the_names_are_those_of_the_onnx_file(source: Path):
    operators = {layer.name: layer.operator for layer in exclusion.read_layers(source)}
    assert operators["Conv_2"] == "Conv"
    assert kinds(quantized(source)) == {"Conv_2": True, "Conv_4": True, "Gemm_9": True}


@pytest.mark.parametrize("name", ["Conv_2", "Relu_3", "Conv_4", "Gemm_9"])
def test_an_excluded_layer_alone_stays_in_float(name: str, source: Path):
    """A ReLU is computed with the layer before it."""
    in_integers = kinds(quantized(source, (name,)))
    kept = {"Relu_3": "Conv_2"}.get(name, name)
    assert in_integers == {"Conv_2": True, "Conv_4": True, "Gemm_9": True, kept: False}


@pytest.mark.parametrize("name", ["Add_5", "Relu_6"])
def test_an_addition_and_its_relu_stay_in_float_together(name: str, source: Path):
    """PyTorch dies where one of them is excluded alone."""
    module = quantized(source, (name,))
    assert "quantized.add" not in module.code
    assert "quantized.add" in quantized(source).code
    assert all(kinds(module).values())


def test_excluded_types_are_left_in_float_and_not_counted(source: Path, out: Path):
    stage.run(source, source, out, **{**defaults("quantize"), "exclude_types": ["Linear", "Add"]})
    assert '"quantized": 2, "operators": 2' in (out / formats.QUANTIZED_JSON).read_text()
    code = str(torch.jit.load(out / script.FILE).inlined_graph)
    assert code.count("quantized::conv2d") == 2
    assert "quantized::linear" not in code
    assert "quantized::add" not in code


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exclude": ["conv_2"]}, "exclude: this model has no layer 'conv_2'; did you mean Conv_2, Conv_4?"),
        (
            {"exclude_types": ["Xyzzy"]},
            "exclude_types: this model has no operator 'Xyzzy'; known are Add, Conv, Flatten, Gemm, GlobalAveragePool, "
            "Mul, Relu, Softmax, Transpose, Linear",
        ),
    ],
)
def test_what_the_model_does_not_have_is_named(settings: dict[str, object], message: str, source: Path, out: Path):
    with pytest.raises(CrossquantError) as caught:
        stage.run(source, source, out, **{**defaults("quantize"), **settings})
    assert str(caught.value) == message


@pytest.mark.parametrize("backend", ["fbgemm", "x86", "onednn", "qnnpack"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_have_a_scale_a_channel_or_one(backend: str, per_channel: bool, source: Path):
    schemes = {weight.qscheme() for weight in weights(quantized(source, backend=backend, per_channel=per_channel))}
    assert schemes == {torch.per_channel_affine if per_channel else torch.per_tensor_affine}


@pytest.mark.parametrize(
    ("backend", "reduce_range", "bits"),
    [("x86", "default", 7), ("x86", "never", 8), ("onednn", "default", 8), ("onednn", "always", 7)],
)
def test_activations_have_the_bits_that_are_asked_for(backend: str, reduce_range: str, bits: int):
    observer = recipe.Recipe(backend, reduce_range=reduce_range).qconfig().activation()
    assert observer.quant_max - observer.quant_min == 2**bits - 1


def test_the_observer_decides_the_range():
    """Of a thousand values and one far off: all of them, the share that is asked for, or what costs least."""
    values = torch.cat([torch.linspace(0, 1, 999), torch.tensor([100.0])])
    ranges = {}
    for name in ("minmax", "percentile", "histogram"):
        observer = recipe.Recipe("onednn", name, percentile=99.0).qconfig().activation()
        observer(values)
        ranges[name] = float(observer.calculate_qparams()[0]) * 255
    assert ranges["minmax"] == pytest.approx(100.0)
    assert ranges["percentile"] == pytest.approx(1.0, abs=0.06)  # a bin is 100 / 2048 wide
    assert ranges["percentile"] < ranges["histogram"] <= ranges["minmax"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_calibration_image_that_is_not_finite_is_named(value: float, source: Path, tmp_path: Path, out: Path):
    images = models.images(120)
    images[103, 1, 2, 0] = value
    np.save(tmp_path / "input_0.npy", images)
    with pytest.raises(CrossquantError) as caught:
        stage.run(source, tmp_path, out, **defaults("quantize"))
    assert str(caught.value) == "calibration sample 103 has NaN or infinity: fix it or leave it out"


def test_an_empty_calibration_set_is_refused(source: Path, tmp_path: Path, out: Path):
    np.save(tmp_path / "input_0.npy", models.images(1)[:0])
    with pytest.raises(CrossquantError) as caught:
        stage.run(source, tmp_path, out, **defaults("quantize"))
    assert str(caught.value) == "the calibration set is empty: raise calibration.images"


@pytest.mark.parametrize("observer", ["histogram", "minmax", "percentile"])
def test_weights_that_overflow_are_reported(observer: str, tmp_path: Path, out: Path):
    graph = models.Graph()
    graph.add("Flatten")
    graph.add("Gemm", graph.given(np.full((192, 4), 3e38, np.float32)), graph.weight(4))
    graph.add("Gemm", graph.weight(4, 10), graph.weight(10))
    np.save(tmp_path / "input_0.npy", models.images(4))
    with pytest.raises(CrossquantError) as caught:
        stage.run(graph.save(tmp_path), tmp_path, out, **{**defaults("quantize"), "observer": observer})
    assert str(caught.value) == "the float model gives NaN or infinity for a calibration sample: check its weights"


def test_an_error_on_finite_values_is_reported_in_pytorchs_words():
    class TooFewRows(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ torch.ones(3, 2)

    prepared = torch.fx.symbolic_trace(TooFewRows())
    with pytest.raises(Unsupported, match=r"^PyTorch can't calibrate this model: mat1 and mat2 shapes"):
        fx.observe_batch(prepared, (torch.ones(2, 5),))


@pytest.mark.parametrize("observer", ["histogram", "minmax", "percentile"])
def test_constant_channels_and_images_give_finite_answers(observer: str, tmp_path: Path, out: Path):
    """A channel whose weights are all zero has no range of its own, nor has an image of one color."""
    graph = models.Graph()
    weight = np.random.default_rng(0).normal(0, 0.2, (4, 3, 3, 3)).astype(np.float32)
    weight[1] = 0
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.given(weight), graph.weight(4), pads=[1, 1, 1, 1])
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.dense(4, 10)
    np.save(tmp_path / "input_0.npy", np.zeros((4, *models.SHAPE), np.float32))
    stage.run(graph.save(tmp_path), tmp_path, out, **{**defaults("quantize"), "observer": observer})
    assert np.isfinite(answers(out, models.images(3))).all()


def test_an_engine_that_this_build_lacks_is_unsupported_in_pytorchs_words(source: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        stage.run(source, source, out, **{**defaults("quantize"), "backend": "none"})
    assert str(caught.value).startswith("PyTorch's engine none: ")


def test_a_layer_that_can_not_be_traced_is_named(source: Path):
    class Odd(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    module = torch.nn.Sequential()
    module.add_module("First_0", torch.nn.ReLU())
    module.add_module("Odd_1", Odd())
    with pytest.raises(Unsupported) as caught:
        fx.prepare(module, recipe.Recipe("onednn").mapping(), source)
    assert str(caught.value).startswith(
        "PyTorch's FX graph mode can't trace this model at layer 'Odd_1' (Odd): symbolically traced variables"
    )


CALIBRATE = """
import torch
from images.torch import convert
from images.torch.quantize import fx, recipe
model, calibration = map(Path, arguments)
with torch.no_grad():
    fx.prepare(convert.to_module(model), recipe.Recipe("onednn").mapping(), calibration)
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path):
    """Ten thousand images of 24 x 24 are 69 MB; their peak is that of a thousand."""
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Conv", graph.weight(2, 3, 3, 3), graph.weight(2), strides=[4, 4])
    graph.add("GlobalAveragePool")
    source = graph.save(tmp_path, ("batch", 2, 1, 1))
    peaks = {}
    for count in (1_000, 10_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        tile = np.random.default_rng(count).uniform(0, 255, (100, 24, 24, 3)).astype(np.float32)
        np.save(folder / "input_0.npy", np.tile(tile, (count // 100, 1, 1, 1)))
        peaks[count] = measure_peak(CALIBRATE, source, folder)
    assert peaks[10_000] - peaks[1_000] < 16 << 20, peaks
