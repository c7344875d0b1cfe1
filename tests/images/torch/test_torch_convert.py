"""ONNX to PyTorch: the same answers to any batch, from a file that needs PyTorch alone."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from images.torch import convert, pt2e, quantize, torchvision_free
from images.torch.script import FILE
from shared.errors import Unsupported
from tests.images import models
from tests.images.torch.stages import answers, defaults

ALONE = """
import sys
sys.modules.update(onnx=None, onnx2torch=None)
import numpy, torch
file, images, answers = sys.argv[1:]
with torch.inference_mode():
    numpy.save(answers, torch.jit.load(file)(torch.from_numpy(numpy.load(images))).numpy())
"""


def reference(folder: Path, images: np.ndarray) -> np.ndarray:
    return ReferenceEvaluator(str(folder / models.FILE)).run(None, {"image": images})[0]


@pytest.mark.parametrize("build", [models.convolutional, models.zero_dimension], ids=lambda build: build.__name__)
def test_the_module_gives_the_graphs_answers_to_any_batch(build: Callable[[Path], Path], tmp_path: Path, out: Path):
    """The file is traced with two images; they and all others stay NHWC."""
    source = build(tmp_path / "onnx")
    convert.run(source, out)
    for count in (1, 3, 64):
        images = models.images(count)
        expected = reference(source, images)
        np.testing.assert_allclose(answers(out, images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [4, 1, 6])
def test_a_model_of_a_fixed_batch_answers_any_number_of_samples(count: int, tmp_path: Path, out: Path):
    source, images = models.by_place(tmp_path), models.images(8)
    convert.run(source, out)
    exact = np.concatenate([reference(source, images[:4]), reference(source, images[4:])])
    np.testing.assert_allclose(answers(out, images[:count]), exact[:count], atol=1e-5)


@pytest.mark.parametrize("stage", [quantize, pt2e], ids=["fx", "pt2e"])
def test_a_model_of_a_fixed_batch_is_not_quantized(stage: ModuleType, tmp_path: Path, out: Path):
    np.save(tmp_path / "input_0.npy", models.images(10))
    settings = defaults(stage.__name__.rsplit(".", 1)[1])
    with pytest.raises(Unsupported, match=r"^the model takes batches of 4 alone, which can't be calibrated: "):
        stage.run(models.by_place(tmp_path / "source"), tmp_path, out, **settings)


def test_a_flatten_that_would_fix_the_batch_is_refused_or_kept_dynamic(tmp_path: Path, out: Path):
    """A computed target, left by `fold: {enabled: false}`: a trace that holds the example's batch must not be kept."""
    source = models.computed_flatten(tmp_path / "onnx")
    try:
        convert.run(source, out)
    except Unsupported:
        return
    images = models.images(5)
    np.testing.assert_allclose(answers(out, images), reference(source, images), atol=1e-5)


def test_the_file_loads_in_a_fresh_process_without_onnx(tmp_path: Path, out: Path):
    convert.run(models.convolutional(tmp_path / "onnx"), out)
    images = models.images(3)
    np.save(tmp_path / "input_0.npy", images)
    files = [out / FILE, tmp_path / "input_0.npy", tmp_path / "answers.npy"]
    subprocess.run([sys.executable, "-c", ALONE, *map(str, files)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), answers(out, images), atol=1e-6)


def test_weights_are_contiguous_and_frozen(tmp_path: Path):
    module = convert.to_module(models.convolutional(tmp_path))
    linear = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(linear) == 1
    parameters = list(module.parameters())
    assert len(parameters) == 6
    assert all(parameter.is_contiguous() and not parameter.requires_grad for parameter in parameters)


def test_no_reshape_looks_at_its_target_as_data(tmp_path: Path):
    module = convert.to_module(models.zero_dimension(tmp_path))
    called = [node.target for node in module.graph.nodes if node.op == "call_method"]
    assert called == ["size", "reshape"]
    assert not [node for node in module.graph.nodes if "Reshape" in str(node.target)]


def test_an_operator_without_converter_is_unsupported_by_name(tmp_path: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        convert.run(models.only("LpPool", tmp_path, kernel_shape=[8, 8]), out)
    assert str(caught.value) == (
        "onnx2torch can't convert this model: Converter is not implemented "
        "(OperationDescription(domain='', operation_type='LpPool', version=11))"
    )
    assert not list(out.iterdir())


def detector(folder: Path) -> Path:
    """Boxes in, the indices of the two that NonMaxSuppression keeps out."""
    node = helper.make_node("NonMaxSuppression", ["image", "scores", "kept"], ["selected"])
    constants = {"scores": np.ones((1, 1, 5), np.float32), "kept": np.array([2], np.int64)}
    graph = helper.make_graph(
        [node],
        "model",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 5, 4))],
        [helper.make_tensor_value_info("selected", TensorProto.INT64, ("boxes", 3))],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / models.FILE)
    return folder


def test_non_maximum_suppression_without_torchvision_is_unsupported(tmp_path: Path, out: Path):
    with pytest.raises(Unsupported) as caught:
        convert.run(detector(tmp_path), out)
    assert str(caught.value) == "NonMaxSuppression and RoiAlign need torchvision, which this image leaves out"


def test_an_installed_torchvision_is_left_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "torchvision.py").write_text("real = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision")
    torchvision_free.install()
    assert "torchvision" not in sys.modules
