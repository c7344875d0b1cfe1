"""The recipes without calibration: dynamic quantization, and weights as float16."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from images.onnx import dynamic, float16
from shared.errors import CrossquantError, Unsupported
from tests.images import models
from tests.images.onnx.quantizing import answers


def run(model: Path, out: Path, **options: object) -> onnx.ModelProto:
    dynamic.run(model, out, **{"weight": "uint8", "per_channel": True, "exclude": [], "exclude_types": [], **options})
    return onnx.load(out / models.FILE)


def differences(model: Path, out: Path) -> float:
    images = models.images(20)
    return float(np.abs(answers(out, images) - answers(model, images)).max())


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("weight", ["int8", "uint8"])
def test_dynamic_quantization_computes_on_integers(weight: str, per_channel: bool, tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "model")
    model = run(source, out, weight=weight, per_channel=per_channel)
    kinds = [node.op_type for node in model.graph.node]
    assert (kinds.count("ConvInteger"), kinds.count("MatMulInteger")) == (2, 1)
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 3, "operators": 3}
    stored = {tensor.data_type for tensor in model.graph.initializer if tensor.name.endswith("_quantized")}
    assert stored == {{"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[weight]}
    assert 0 < differences(source, out) < 0.05
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "quantized.json"]


def test_dynamic_quantization_leaves_excluded_layers_in_float(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "model")
    run(source, out, exclude_types=["Gemm"])
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 2, "operators": 3}
    with pytest.raises(Unsupported, match=r"^ONNX Runtime quantized 1 of 3 convolutions and linear layers"):
        run(source, out, exclude_types=["Conv"])
    with pytest.raises(CrossquantError, match=r"^exclude: this model has no layer 'nothing'; known are "):
        run(source, out, exclude=["nothing"])


def test_float16_takes_half_the_space_and_rounds_weights_alone(tmp_path: Path, out: Path):
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.convolution(3, 64)
    graph.convolution(64, 64)
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.dense(64, 10)
    graph.add("Softmax")
    source = graph.save(tmp_path / "model")
    float16.run(source, out)
    assert json.loads((out / "quantized.json").read_text()) == {"quantized": 3, "operators": 3}
    before, after = ((folder / models.FILE).stat().st_size for folder in (source, out))
    assert after < 0.52 * before
    assert 0 < differences(source, out) < 1e-3
    assert answers(out, models.images(3)).dtype == np.float32


def test_a_weight_beyond_float16_is_unsupported(tmp_path: Path, out: Path):
    graph = models.Graph()
    graph.add("Flatten")
    values = np.ones((192, 10), np.float32)
    values[0, 0] = -7e4
    graph.add("Gemm", graph.given(values))
    with pytest.raises(Unsupported, match=r"^constant_1 has a value of 7e\+04, beyond float16's largest, 65504$"):
        float16.run(graph.save(tmp_path / "model"), out)
