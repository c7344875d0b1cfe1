"""A file that is quantized already is run as it is, with a note, and no recipe quantizes it a second time."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

from images.onnx import accuracy_aware, dynamic, float16, fold_batchnorm, import_model, operator_support, quantize
from images.onnx.session import FILE, load, open_session
from shared import compatibility
from shared.errors import Unsupported
from shared.quantization import already
from tests.images import models
from tests.images.sample_folders import save_samples

NOTE = "the model is quantized already ("
MIXED = "an answer depends on the other samples of its batch"


class Reader(CalibrationDataReader):
    def __init__(self, name: str) -> None:
        self.batches = iter([{name: models.images(20)}])

    def get_next(self) -> Any:
        return next(self.batches, None)


def quantize_to(form: QuantFormat) -> Callable[[Path, Path], None]:
    return lambda source, target: quantize_static(source, target, Reader("image"), quant_format=form)


def trained(source: Path, target: Path) -> None:
    """As PyTorch exports a model trained for 8 bits: float weights, each rounded in the graph."""
    model = onnx.load(source)
    scale = numpy_helper.from_array(np.float32(0.01), "scale")
    zero = numpy_helper.from_array(np.int8(0), "zero")
    nodes = []
    for node in model.graph.node:
        for position, name in list(enumerate(node.input))[:2] if node.op_type in ("Conv", "Gemm", "MatMul") else []:
            ends = [f"{node.output[0]}_{position}_{kind}" for kind in ("q", "dq")]
            nodes.append(helper.make_node("QuantizeLinear", [name, "scale", "zero"], ends[:1]))
            nodes.append(helper.make_node("DequantizeLinear", [ends[0], "scale", "zero"], ends[1:]))
            node.input[position] = ends[1]
        nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([scale, zero])
    onnx.save(model, target)


KINDS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "QDQ": (quantize_to(QuantFormat.QDQ), "DequantizeLinear, QuantizeLinear"),
    "QOperator": (quantize_to(QuantFormat.QOperator), "DequantizeLinear, QGemm, QLinearAdd and 5 more"),
    "dynamic": (quantize_dynamic, "ConvInteger, DynamicQuantizeLinear, "),
    "trained": (trained, "DequantizeLinear, QuantizeLinear"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    return save_samples(tmp_path / "dataset", models.images(20), about={"task": "fidelity"})


def make_file(kind: str, tmp_path: Path) -> Path:
    """The folder of a file that is quantized in this way, and its float model beside that folder."""
    folder = tmp_path / "source"
    folder.mkdir(exist_ok=True)
    KINDS[kind][0](models.convolutional(tmp_path / "made") / models.FILE, folder / "my.onnx")
    return folder


def import_file(kind: str, samples: Path, tmp_path: Path) -> Path:
    """The folder onnx.fp32, beside exported."""
    for name in ("exported", "onnx.fp32"):
        (tmp_path / name).mkdir()
    import_model.run(make_file(kind, tmp_path), samples, tmp_path / "exported")
    fold_batchnorm.run(tmp_path / "exported", tmp_path / "onnx.fp32", enabled=True)
    return tmp_path / "onnx.fp32"


def count_quantized(path: Path) -> Counter[str]:
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    return Counter(kind for kind in kinds if already.find_operators([kind]))


@every_kind
def test_it_is_run_as_it_is(kind: str, samples: Path, tmp_path: Path):
    model = import_file(kind, samples, tmp_path)
    note, *more = json.loads((tmp_path / "exported" / "notes.json").read_text())
    assert note.startswith(NOTE + KINDS[kind][1])
    assert [line.split(":")[0] for line in more] == [MIXED] * (kind == "dynamic")  # its ranges are those of a batch
    images = models.images(20)
    original = open_session(tmp_path / "source" / "my.onnx", 1)
    [expected] = original.run(None, {original.get_inputs()[0].name: images})
    np.testing.assert_array_equal(load(model, 1)((images,))[0], expected)
    before, after = (count_quantized(path) for path in (tmp_path / "source" / "my.onnx", model / FILE))
    assert before == after


@every_kind
@pytest.mark.parametrize("recipe", ["static", "raw", "dynamic", "float16", "auto"])
def test_no_recipe_quantizes_it_again(recipe: str, kind: str, samples: Path, tmp_path: Path, out: Path):
    model, options = import_file(kind, samples, tmp_path), {"activation": "uint8", "weight": "int8"}
    runs: dict[str, Callable[[], None]] = {
        "static": lambda: quantize.run(
            model, model, samples, out, exclude=[], exclude_types=[], preprocess=True, **options
        ),
        "raw": lambda: quantize.run(
            model, tmp_path / "exported", samples, out, exclude=[], exclude_types=[], preprocess=False, **options
        ),
        "dynamic": lambda: dynamic.run(model, out, weight="int8", per_channel=False, exclude=[], exclude_types=[]),
        "float16": lambda: float16.run(model, out),
        "auto": lambda: accuracy_aware.run(
            model, samples, samples, out, exclude_types=[], max_drop_pp=0.1, trials=3, **options
        ),
    }
    with pytest.raises(
        Unsupported, match=r"^the model is quantized already \(.*\): give the float model to quantize it$"
    ):
        runs[recipe]()
    assert list(out.iterdir()) == []


def test_what_keras_has_quantized_is_told_though_the_graph_has_no_such_operator(tmp_path: Path, out: Path):
    """tf2onnx writes 4-bit weights as floats."""
    model = models.convolutional(tmp_path / "exported")
    already.write(["int4 by Keras"], model)
    folded = tmp_path / "onnx.fp32"
    folded.mkdir()
    fold_batchnorm.run(model, folded, enabled=True)
    kinds = [node.op_type for node in onnx.load(folded / FILE).graph.node]
    assert len(kinds) < len(onnx.load(model / FILE).graph.node)
    with pytest.raises(Unsupported, match=r"^the model is quantized already \(int4 by Keras\): give the float model"):
        float16.run(folded, out)


@every_kind
def test_inspection_tells_it(kind: str, tmp_path: Path, out: Path):
    operator_support.run(make_file(kind, tmp_path), out)
    support = compatibility.load(out)
    assert any(note.startswith("the model is quantized already") for note in support.notes)
    exact, quantized = support.support
    assert exact.all
    assert quantized.reason.startswith("the model is quantized already")


def test_quantized_operators_in_a_branch_count():
    inner = helper.make_node("DequantizeLinear", ["codes", "scale"], ["y"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    branch = helper.make_graph([inner], "branch", [], [y])
    node = helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch)
    model = helper.make_model(helper.make_graph([node], "model", [], []))
    assert import_model.quantized_operators(model) == ["DequantizeLinear"]


def test_float_models_have_no_such_operators():
    assert already.find_operators(["Conv", "Gemm", "Cast", "Quick", "MatMul"]) == []
