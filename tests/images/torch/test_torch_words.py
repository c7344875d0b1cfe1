"""Token ids are looked up and never rounded, and what is computed from their embeddings is quantized."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from images.torch import quantize
from images.torch.convert import to_module
from images.torch.runtime import formats
from tests.images.models import FILE
from tests.images.sample_folders import save_samples
from tests.images.torch.stages import defaults

WORDS, STEPS, WIDTH = 50, 6, 8


def text(folder: Path, kind: int) -> Path:
    """Words, and places in the text as a constant, each looked up in a table; then two dense layers."""
    random = np.random.default_rng(0)
    tables = {"words": random.normal(size=(WORDS, WIDTH)), "places": random.normal(size=(STEPS, WIDTH))}
    weights = {f"weight_{number}": random.normal(0, 0.3, (WIDTH, WIDTH)) for number in (1, 2)}
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in (tables | weights).items()]
    dtype = np.int32 if kind == TensorProto.INT32 else np.int64
    constants += [numpy_helper.from_array(np.arange(STEPS, dtype=dtype), "order")]
    nodes = [
        helper.make_node("Gather", ["words", "text"], ["known"], name="known"),
        helper.make_node("Gather", ["places", "order"], ["placed"], name="placed"),
        helper.make_node("Add", ["known", "placed"], ["added"], name="added"),
        helper.make_node("MatMul", ["added", "weight_1"], ["first"], name="first"),
        helper.make_node("Relu", ["first"], ["positive"], name="positive"),
        helper.make_node("MatMul", ["positive", "weight_2"], ["answer"], name="answer"),
    ]
    takes = helper.make_tensor_value_info("text", kind, ["batch", STEPS])
    gives = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", STEPS, WIDTH])
    graph = helper.make_graph(nodes, "text", [takes], [gives], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / FILE)
    return folder


@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize("observer", ["default", "minmax", "percentile"])
def test_what_words_stand_for_is_quantized(observer: str, kind: str, tmp_path: Path, out: Path):
    words = np.random.default_rng(1).integers(0, WORDS, (130, STEPS)).astype(kind)
    calibration = save_samples(tmp_path / "calibration", words, about={"dtypes": [kind]})
    model = text(tmp_path / "model", TensorProto.INT32 if kind == "int32" else TensorProto.INT64)
    quantize.run(model, calibration, out, **defaults("quantize") | {"backend": "x86", "observer": observer})
    assert formats.read_json(out)["quantized"] == 2
    [answers] = formats.load(out, 1)((words,))
    exact = to_module(model)(*formats.as_sequence(formats.torch.from_numpy(words))).detach().numpy()
    assert 10 * np.log10(np.square(exact).sum() / np.square(exact - answers).sum()) > 15
