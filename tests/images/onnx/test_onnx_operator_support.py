"""Which operators ONNX Runtime supports, found on random samples."""

from pathlib import Path

import onnx

from images.onnx import operator_support
from shared import compatibility
from shared.compatibility import Compatibility, FrameworkSupport
from shared.data.signature import Signature, Tensor
from tests.images import models


def test_the_users_own_file(tmp_path: Path, out: Path):
    operator_support.run(models.convolutional(tmp_path / "own"), out)
    support = compatibility.load(out)
    assert support.operators == {"Conv": 2, "Flatten": 1, "Gemm": 1, "GlobalAveragePool": 1, "Mul": 1, "Relu": 2} | {
        "Softmax": 1,
        "Transpose": 1,
    }
    loaded, quantized = support.support
    assert loaded == FrameworkSupport("ONNX Runtime", all=True)
    assert quantized.name == "ONNX Runtime, 8 bits"
    assert (quantized.carried["Conv"], quantized.carried["Gemm"]) == (2, 1)
    assert support.parameters == sum(
        onnx.numpy_helper.to_array(item).size for item in onnx.load(tmp_path / "own" / "model.onnx").graph.initializer
    )
    assert (out / "model.onnx").exists()


def test_what_the_keras_image_left(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "described")
    taken = (Tensor("image", "float32", (8, 8, 3)),)
    compatibility.write(Compatibility(signature=Signature(taken, ()), parameters=7), source)
    operator_support.run(source, out)
    support = compatibility.load(out)
    assert support.parameters is None  # Keras has counted them
    assert [step.name for step in support.support] == ["ONNX Runtime", "ONNX Runtime, 8 bits"]


def test_a_model_that_did_not_come_so_far(tmp_path: Path, out: Path):
    compatibility.write(Compatibility(), tmp_path)
    operator_support.run(tmp_path, out)
    assert compatibility.load(out) == Compatibility()


def test_a_file_that_onnx_runtime_can_not_run(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "own")
    model = onnx.load(source / "model.onnx")
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Own", "their.own"
    model.opset_import.append(onnx.helper.make_opsetid("their.own", 1))
    onnx.save(model, source / "model.onnx")
    operator_support.run(source, out)
    (step,) = compatibility.load(out).support
    assert not step.all
    assert "Own" in step.reason
