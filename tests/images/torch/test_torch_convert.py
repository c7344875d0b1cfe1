"""ONNX to PyTorch: the same answers for any batch size, from a file that needs PyTorch alone."""

import json
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

from images.torch import accuracy_aware, convert, explain, operator_support, pt2e, quantize
from images.torch.convert import safe_names, torchvision_stub
from images.torch.quantize import exclusion
from images.torch.runtime.script import FILE
from shared import compatibility
from shared.compatibility import Compatibility
from shared.data import samples
from shared.data.signature import Signature, Tensor
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
    evaluator = ReferenceEvaluator(str(folder / models.FILE))
    return evaluator.run(None, {evaluator.input_names[0]: images})[0]


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


def test_a_flatten_whose_target_is_computed_takes_any_batch(tmp_path: Path, out: Path):
    """A computed target, left by `fold: {enabled: false}`: a trace must not hold the example's batch."""
    source = models.computed_flatten(tmp_path / "onnx")
    convert.run(source, out)
    images = models.images(7)
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
        "onnx2torch can't convert this model at LpPool 'LpPool_6': Converter is not implemented "
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
    torchvision_stub.install()
    assert "torchvision" not in sys.modules


def called(source: Path, *names: str) -> list[str]:
    """What the nodes of a model are called from here on: those given, and their own after that."""
    model = onnx.load(source / models.FILE)
    for name, node in zip(names, model.graph.node, strict=False):
        node.name = name
    onnx.save(model, source / models.FILE)
    return [node.name for node in model.graph.node]


ORDINARY = ("model/conv2d/Conv2D:0", "/layer1/layer1.0/conv1/Conv", "node_Conv_12", "StatefulPartitionedCall/größe-2")


def test_an_ordinary_name_is_the_modules(tmp_path: Path):
    source = models.convolutional(tmp_path)
    names = called(source, *ORDINARY)
    module = convert.to_module(source)
    expected = [name.replace(".", "/").lstrip("/") for name in names]
    assert [layer.module for layer in exclusion.read_layers(source)] == expected
    assert [name for name, _ in module.named_children() if name in expected] == expected
    assert [layer.name for layer in exclusion.read_layers(source)] == names


@pytest.mark.parametrize(
    "letter", ['"', "'", "\\", "\n", "\r", "\0", "*", "?", "{", "(", " ", "\u2028", "\ufeff", "．"]
)
def test_a_name_that_is_not_ordinary_is_another_one(letter: str):
    name = safe_names.safe_name(f"conv{letter}1")
    assert name.startswith("conv_1_") or letter == "．"
    assert safe_names.UNSAFE.search(name) is None
    assert name != safe_names.safe_name(f"conv{letter}{letter}1") != safe_names.safe_name("conv_1") == "conv_1"


def test_a_word_of_pythons_is_a_name_like_another(tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "onnx")
    called(source, "lambda", "is", "None")
    convert.run(source, out)
    images = models.images(3)
    np.testing.assert_allclose(answers(out, images), reference(source, images), rtol=1e-5, atol=1e-5)


def rename_ends(source: Path, input_name: str, output_name: str) -> None:
    """Call the input and the output of the file by these names."""
    model = onnx.load(source / models.FILE)
    names = {model.graph.input[0].name: input_name, model.graph.output[0].name: output_name}
    for item in (*model.graph.input, *model.graph.output):
        item.name = names[item.name]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    onnx.save(model, source / models.FILE)


@pytest.mark.parametrize("name", ["image", "a b", "self", "forward", "input_1", "0", "lambda", "<in>&é", "x" * 300])
def test_the_name_of_an_input_or_output_changes_nothing(name: str, tmp_path: Path, out: Path):
    source = models.convolutional(tmp_path / "onnx")
    images = models.images(3)
    expected = reference(source, images)
    rename_ends(source, name, f"{name} out")
    convert.run(source, out)
    np.testing.assert_allclose(answers(out, images), expected, rtol=1e-5, atol=1e-5)


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, Path]:
    """A model whose names would write the file `mark` as Python, and are no C++; and 120 samples."""
    mark = str(tmp_path / "mark")
    source = models.convolutional(tmp_path / "onnx")
    opening = f'x" if open(bytes({list(mark.encode())}),"w") else "x'
    called(
        source, *(f"{opening}{number}" for number in range(8)), f"end\n    open({mark!r}, 'w')\n#", "*/ }\\", '// é"'
    )
    rename_ends(source, f"{opening}in", f"{opening}out")
    folder = tmp_path / "samples"
    folder.mkdir()
    np.save(folder / "input_0.npy", models.images(120))
    (folder / samples.ABOUT).write_text(json.dumps({"task": "fidelity"}))
    return source, folder


def test_a_nodes_name_is_not_run_by_convert(hostile: tuple[Path, Path], tmp_path: Path, out: Path):
    source, _ = hostile
    convert.run(source, out)
    images = models.images(5)
    np.testing.assert_allclose(answers(out, images), reference(source, images), rtol=1e-5, atol=1e-5)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("stage", [quantize, pt2e], ids=["fx", "pt2e"])
def test_a_nodes_name_is_not_run_by_the_quantizers(
    stage: ModuleType, hostile: tuple[Path, Path], tmp_path: Path, out: Path
):
    """It can be excluded by its name all the same."""
    source, folder = hostile
    convolution = next(layer.name for layer in exclusion.read_layers(source) if layer.operator == "Conv")
    stage.run(source, folder, out, **{**defaults(stage.__name__.rsplit(".", 1)[1]), "exclude": [convolution]})
    assert json.loads((out / "quantized.json").read_text())["operators"] == 2
    assert not (tmp_path / "mark").exists()


def test_a_nodes_name_is_not_run_by_accuracy_aware_or_explain(
    hostile: tuple[Path, Path], tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    source, folder = hostile
    variant = tmp_path / "torch.int8"
    variant.mkdir()
    accuracy_aware.run(
        source, folder, folder, variant, **{**defaults("accuracy_aware"), "max_drop_pp": 0.0, "trials": 2}
    )
    monkeypatch.setattr("images.torch.explain.store.parameters", lambda _: defaults("quantize"))
    explain.run(variant, source, folder, out, images=40)
    names = {layer["name"] for layer in json.loads((out / "layers.json").read_text())["layers"]}
    assert names and names <= {layer.name for layer in exclusion.read_layers(source)}
    assert not (tmp_path / "mark").exists()


def test_a_nodes_name_is_not_run_by_operator_support(hostile: tuple[Path, Path], tmp_path: Path, out: Path):
    source, _ = hostile
    compatibility.write(Compatibility(signature=Signature((Tensor("image", "float32", models.SHAPE),), ())), source)
    operator_support.run(source, out)
    assert [step.reason for step in compatibility.load(out).support] == ["", "", ""]
    assert compatibility.load(out).support[1].carried["Conv"] == 2
    assert not (tmp_path / "mark").exists()
