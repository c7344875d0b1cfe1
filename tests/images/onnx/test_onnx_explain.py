"""`explain`: its metrics against a forward pass by hand, and the layers that it names."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from images.onnx import explain, float16, quantize
from images.onnx.sensitivity.ablation import Ablation
from images.onnx.session import load
from shared.contract import read
from shared.data.subset import Subset
from shared.errors import Unsupported
from shared.numerics import ErrorAccumulator, mean_kl_divergence
from shared.sensitivity.layer_errors import FILE, Diagnosis, Sensitivity
from tests.images import declared, models
from tests.images.onnx import hard

RECIPE = declared.defaults("onnx", "quantize") | {"activation": "uint8"}


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    return hard.folder(tmp_path / "calibration", 200, 1, np.float32)


def quantize_and_explain(model: Path, calibration: Path, out: Path, **options: object) -> Sensitivity:
    """Quantize the model's float file as `onnx.tested` beside it, and explain it."""
    variant = model.parent / "onnx.tested"
    variant.mkdir()
    quantize.run(model, model, calibration, variant, **{**RECIPE, **options})
    explain.run(variant, model, calibration, out, images=200)
    assert [path.name for path in out.iterdir()] == [FILE]
    return read(Sensitivity, out / FILE)


def round_activations(values: np.ndarray, least: float, greatest: float, kind: type) -> np.ndarray:
    """Quantize and dequantize, with the range's zero on a whole step."""
    limits = np.iinfo(kind)
    scale = np.float32((greatest - least) / (limits.max - limits.min))
    zero = round(limits.min - least / scale)
    codes = np.clip(np.rint(values / scale) + zero, limits.min, limits.max)
    return ((codes - zero) * scale).astype(np.float32)


def round_weights(values: np.ndarray) -> np.ndarray:
    scale = np.float32(np.abs(values).max() / 127)
    return (np.rint(values / scale) * scale).astype(np.float32)


def test_the_metrics_of_a_model_of_two_layers_by_hand(calibration: Path, tmp_path: Path, out: Path):
    graph = models.Graph()
    graph.nodes.clear()
    graph.last = "image"
    graph.add("Flatten")
    first, second = hard.detectors() / 4, np.diag(np.linspace(0.01, 9, 10)).astype(np.float32)
    graph.add("Gemm", graph.given(first))
    graph.add("Gemm", graph.given(second))
    sensitivity = quantize_and_explain(graph.save(tmp_path / "model"), calibration, out)

    images, labels = (np.load(calibration / name) for name in ("input_0.npy", "labels.npy"))
    flat = images.reshape(len(images), -1)
    middle, end = flat @ first, flat @ first @ second

    def forward(*quantized: str) -> np.ndarray:
        """With these of input, w1, middle, w2 and output quantized."""
        x = round_activations(flat, min(0, flat.min()), flat.max(), np.uint8) if "input" in quantized else flat
        x = x @ (round_weights(first) if "w1" in quantized else first)
        x = round_activations(x, middle.min(), middle.max(), np.uint8) if "middle" in quantized else x
        x = x @ (round_weights(second) if "w2" in quantized else second)
        return round_activations(x, end.min(), end.max(), np.uint8) if "output" in quantized else x

    def right(*quantized: str) -> float:
        return (forward(*quantized).argmax(axis=1) == labels).mean()

    every = ("input", "w1", "middle", "w2", "output")
    layers = {layer.name: layer for layer in sensitivity.layers}
    one, two = layers["Gemm_1"], layers["Gemm_2"]
    assert sensitivity.images == 200
    assert sensitivity.float_accuracy == pytest.approx(right())
    assert sensitivity.weights_only == pytest.approx(right("w1", "w2"))
    assert sensitivity.activations_only == pytest.approx(right("input", "middle", "output"), abs=0.01)
    assert (one.only_weights, two.only_weights) == (pytest.approx(right("w1")), pytest.approx(right("w2")))
    assert one.only_activations == pytest.approx(right("middle"), abs=0.01)
    assert two.only_activations == pytest.approx(right("output"), abs=0.01)
    assert one.kept == pytest.approx(right("w2", "output"), abs=0.01)  # what it reads and makes is in float as well
    assert two.kept == pytest.approx(right("input", "w1"), abs=0.01)
    assert two.kept_kl == pytest.approx(mean_kl_divergence(forward(), forward("input", "w1")), rel=0.05)
    assert one.range == pytest.approx((middle.min(), middle.max()), rel=1e-5)
    assert (one.clipped, two.clipped) == (0.0, 0.0)
    by_hand = ErrorAccumulator()
    by_hand.add(second, round_weights(second))
    assert two.weight.sqnr_db == pytest.approx(by_hand.sqnr_db, rel=1e-3)
    by_hand = ErrorAccumulator()
    by_hand.add(end, forward(*every))
    assert two.activation.sqnr_db == pytest.approx(by_hand.sqnr_db, abs=0.3)
    assert two.activation.max_abs == pytest.approx(by_hand.max_abs, rel=0.1)


@pytest.mark.parametrize(
    "recipe", [{}, {"per_channel": True}, {"activation": "uint16"}, {"symmetric_activation": True}]
)
def test_with_all_tensors_quantized_it_answers_as_the_quantized_file(recipe: dict, calibration: Path, tmp_path: Path):
    """Compared with the file's graph as written: ONNX Runtime's optimizer rounds some intermediate values otherwise."""
    model = hard.normalized(tmp_path / "model")
    (tmp_path / "quantized").mkdir()
    quantize.run(model, model, calibration, tmp_path / "quantized", **{**RECIPE, **recipe})
    subset = Subset(calibration, 100)
    ablation = Ablation(model / models.FILE, tmp_path / "quantized" / models.FILE, subset, tmp_path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(tmp_path / "quantized" / models.FILE, options)
    quantized = ablation.collect_answers(lambda batch: tuple(session.run(None, {"image": batch[0]})))
    exact = ablation.collect_answers(load(model, 1))
    np.testing.assert_allclose(ablation.answers_with_quantized(()), exact, atol=1e-5)
    np.testing.assert_allclose(ablation.answers_with_quantized(ablation.tensors), quantized, atol=1e-5)
    assert np.abs(quantized - exact).max() > 1e-3


def test_the_quantized_mul_is_named_with_its_range(calibration: Path, tmp_path: Path, out: Path):
    sensitivity = quantize_and_explain(hard.normalized(tmp_path / "model"), calibration, out)
    first = sensitivity.layers[0]
    assert sensitivity.variant == "onnx.tested"
    assert (first.name, first.operator) == ("Mul_10", "Mul")
    assert first.kept > sensitivity.quantized_accuracy + 0.5
    assert sensitivity.diagnosis == Diagnosis("weights", "Mul_10")


def test_a_range_that_is_too_narrow_shows_as_clipped(calibration: Path, tmp_path: Path, out: Path):
    sensitivity = quantize_and_explain(
        hard.outlier(tmp_path / "model", factor=1.0), calibration, out, calibrate="percentile", percentile=80.0
    )
    [layer] = [layer for layer in sensitivity.layers if layer.name == "Gemm_8"]
    [relu] = [layer for layer in sensitivity.layers if layer.name == "Relu_9"]
    assert layer.clipped == 0.0  # its own output isn't quantized: the Relu's is
    assert 0.1 < relu.clipped < 0.3


def test_a_variant_that_is_not_quantized_statically_is_unsupported(calibration: Path, tmp_path: Path, out: Path):
    model = models.convolutional(tmp_path / "model")
    (tmp_path / "half").mkdir()
    float16.run(model, tmp_path / "half")
    with pytest.raises(Unsupported, match=r"^explain compares statically quantized variants layer by layer: "):
        explain.run(tmp_path / "half", model, calibration, out, images=50)


def test_a_variant_of_another_file_is_unsupported(calibration: Path, tmp_path: Path, out: Path):
    model = models.convolutional(tmp_path / "model")
    (tmp_path / "quantized").mkdir()
    quantize.run(model, model, calibration, tmp_path / "quantized", **RECIPE)
    other = onnx.load(model / models.FILE)
    for tensor in other.graph.initializer:
        if len(tensor.dims) == 4:
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name + "_folded"))
    for node in other.graph.node:
        node.input[1:2] = [name + "_folded" for name in node.input[1:2] if node.op_type == "Conv"] or node.input[1:2]
    onnx.save(other, model / models.FILE)
    with pytest.raises(Unsupported, match=r"^explain compares with onnx.fp32: .* \(preprocess: false\)$"):
        explain.run(tmp_path / "quantized", model, calibration, out, images=50)
