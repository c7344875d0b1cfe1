"""Unusual but valid ways to write a graph are rewritten as the usual one, or refused in one line that names them."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from images.onnx import fold_batchnorm, import_model, operator_support, session
from images.onnx.graph import normalize
from images.onnx.quantize import relu_check
from shared import compatibility
from shared.data import examples, signature
from shared.errors import CrossquantError, Unsupported
from tests.images.onnx import quantizing
from tests.odd import graphs
from tests.odd.graphs import Case

SAFE = {"activation": "uint8", "weight": "int8", "reduce_range": True, "per_channel": True, "calibrate": "minmax"}


def save_case(case: Case, folder: Path) -> tuple[Path, Path]:
    """Write the user's file and data to folders below `folder`."""
    source, dataset = folder / "source", folder / "dataset"
    for path in (source, dataset):
        path.mkdir(exist_ok=True)
    onnx.save(case.model, source / "my.onnx")
    for number, array in enumerate(case.inputs):
        np.save(dataset / f"input_{number}.npy", array)
    (dataset / "about.json").write_text('{"task": "fidelity"}')
    return source, dataset


def folded(case: Case, folder: Path) -> tuple[Path, Path]:
    """Return (onnx.fp32, the data set), with the exported file beside the former."""
    source, dataset = save_case(case, folder)
    for name in ("exported", "onnx.fp32"):
        (folder / name).mkdir()
    import_model.run(source, dataset, folder / "exported")
    fold_batchnorm.run(folder / "exported", folder / "onnx.fp32", enabled=True)
    return folder / "onnx.fp32", dataset


@pytest.mark.parametrize("name", ["gemm-alpha-beta", "gemm-alpha-row"])
def test_a_quantized_product_does_not_multiply_its_bias_too(name: str, tmp_path: Path, out: Path):
    """ONNX Runtime's QGemm multiplies the sum by alpha."""
    case = graphs.CASES[name]()
    model, dataset = folded(case, tmp_path)
    exact = session.load(model, 1)(case.inputs)[0]
    quantizing.run(model, dataset, out, **SAFE)
    actual = session.load(out, 1)(case.inputs)[0]
    assert np.abs(actual - exact).max() < 0.05 * np.abs(exact).max()


def test_factors_that_can_not_be_dropped_are_left_in_float():
    case = graphs.gemm((graphs.ANSWERS,), computed=True, alpha=0.5)
    normalize.normalize_model(case.model)
    assert normalize.gemms_with_scaled_bias(case.model.graph) == [
        node.name for node in case.model.graph.node if node.op_type == "Gemm"
    ]


@pytest.mark.parametrize("shape", [(1, graphs.ANSWERS), (), (1,), (1, 1)])
def test_a_bias_is_one_value_for_each_output(shape: tuple[int, ...], tmp_path: Path, out: Path):
    case = graphs.gemm(shape)
    model, dataset = folded(case, tmp_path)
    quantizing.run(model, dataset, out, **SAFE)
    exact, actual = session.load(model, 1)(case.inputs)[0], session.load(out, 1)(case.inputs)[0]
    assert np.abs(actual - exact).max() < 0.1 * np.abs(exact).max()


def test_a_bias_that_two_layers_share_stays_the_one_of_each(tmp_path: Path):
    net = graphs.Net(shape=(6,))
    bias = net.weight(1)
    net.add("Gemm", net.weight(6, 4), bias)
    net.add("Gemm", net.weight(4, graphs.ANSWERS), bias)
    case = Case(net.model(), (graphs.samples(6),))
    before = session.open_session(tmp_path / saved(case, tmp_path), 1).run(None, {"x": case.inputs[0]})[0]
    normalize.normalize_model(case.model)
    after = session.open_session(tmp_path / saved(case, tmp_path), 1).run(None, {"x": case.inputs[0]})[0]
    np.testing.assert_allclose(after, before, rtol=1e-6)
    assert {tuple(tensor.dims) for tensor in case.model.graph.initializer} >= {(4,), (graphs.ANSWERS,)}


def saved(case: Case, folder: Path) -> str:
    onnx.save(case.model, folder / "one.onnx")
    return "one.onnx"


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [
        (-3.0, 0.3, ""),
        (-3.0, 3.0, "lets values above 0.3 pass: calibration by percentile gives its output a range to 3"),
    ],
)
def test_a_clip_that_is_dropped_cuts_above_too(low: float, high: float, reason: str):
    """The lower limit is left out, by an empty name."""
    source = graphs.CASES["clip-max"]().model
    quantized = onnx.ModelProto.FromString(source.SerializeToString())
    del quantized.graph.node[0]
    ends = tuple(np.float32([value]) for value in (low, high))
    ranges = {source.graph.node[0].output[0]: SimpleNamespace(range_value=ends)}
    try:
        relu_check.check_dropped_activations(source, quantized, ranges, "percentile")
        message = ""
    except Unsupported as error:
        message = str(error)
    assert reason in message
    assert bool(reason) == bool(message)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("open-batch-reshape-1", "the file was saved for a batch of 1: it takes any number"),
        ("open-batch-reshape-1-rest", "the file was saved for a batch of 1: it takes any number"),
        ("open-batch-reshape-4", "the file was saved for a batch of 4: it takes any number"),
        ("reduce-sum-none", "the model takes batches of 1 alone"),
    ],
)
def test_a_batch_that_the_file_does_not_admit_is_found(name: str, note: str, tmp_path: Path, out: Path):
    case = graphs.CASES[name]()
    import_model.run(*save_case(case, tmp_path), out)
    assert json.loads((out / "notes.json").read_text())[-1].startswith(note)
    assert session.load(out, 1)(case.inputs)[0].shape == (12, graphs.ANSWERS)


def test_answers_that_mix_samples_are_reported(tmp_path: Path, out: Path):
    net = graphs.Net(shape=(6,))
    net.add("ReduceMean", axes=[0])
    net.add("Sub", "x")
    net.dense(6)
    import_model.run(*save_case(Case(net.model(), (graphs.samples(6),)), tmp_path), out)
    [note] = json.loads((out / "notes.json").read_text())
    assert note.startswith("an answer depends on the other samples of its batch: output 0")


def test_a_model_in_training_is_refused(tmp_path: Path, out: Path):
    with pytest.raises(CrossquantError, match=r"differ each time \(Dropout 'Dropout_0'\)"):
        import_model.run(*save_case(graphs.CASES["dropout-on"](), tmp_path), out)


@pytest.mark.parametrize("name", ["open-24", "open-24-minus-one", "open-same-name-20"])
def test_open_sizes_are_those_of_the_data(name: str, tmp_path: Path):
    case = graphs.CASES[name]()
    model, _ = folded(case, tmp_path)
    assert signature.load(tmp_path / "exported").inputs[0].seen == case.inputs[0].shape[1:]
    example = examples.read(model)
    assert example is not None
    assert example.inputs[0].shape == (10, *case.inputs[0].shape[1:])
    assert example.outputs[0].shape == (10, graphs.ANSWERS)


@pytest.mark.parametrize(
    ("size", "note"),
    [(24, "were tried as 24"), (32, "were tried as 32"), (333, "takes none of those that were tried")],
)
def test_operator_support_notes_the_size_that_was_tried(size: int, note: str, tmp_path: Path, out: Path):
    source, _ = save_case(graphs.open_sizes(size, ("h", "w")), tmp_path)
    operator_support.run(source, out)
    support = compatibility.load(out)
    assert note in support.notes[-1]
    assert support.support[0].all
    if size < 100:
        assert support.support[1].carried["Conv"] == 1


def test_whole_numbers_stay_whole(tmp_path: Path):
    """Inputs of int64 without a declared type are cast directly, not by way of float32, which can't
    represent them all.
    """
    case = graphs.CASES["tokens-int64"]()
    model, _ = folded(case, tmp_path)
    assert signature.load(tmp_path / "exported").inputs[0].dtype == "int64"
    assert session.load(model, 1)(case.inputs)[0].shape == (12, graphs.ANSWERS)
    outputs = session.load(model, 1)(tuple(array.astype(np.float32) for array in case.inputs))[0]
    np.testing.assert_array_equal(outputs, session.load(model, 1)(case.inputs)[0])


@pytest.mark.parametrize("name", ["if-data", "if-squeeze", "loop-known", "scan", "sequence", "function", "group-norm"])
def test_what_a_tool_can_not_follow_is_folded_all_the_same(name: str, tmp_path: Path):
    case = graphs.CASES[name]()
    source, _ = save_case(case, tmp_path)
    expected = session.open_session(source / "my.onnx", 1).run(None, {"x": case.inputs[0]})[0]
    model, _ = folded(case, tmp_path)
    np.testing.assert_allclose(session.load(model, 1)(case.inputs)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_shape_inference_that_fails_is_noted(tmp_path: Path):
    model, _ = folded(graphs.CASES["loop-known"](), tmp_path)
    assert json.loads((model / "notes.json").read_text()) == [
        "ONNX Runtime's symbolic shape inference failed on a graph with Loop: shapes are inferred without it"
    ]


def test_a_quantizer_that_gives_up_names_the_layer(tmp_path: Path, out: Path):
    model, dataset = folded(graphs.CASES["layer-norm-axis"](), tmp_path)
    with pytest.raises(Unsupported, match="it can't quantize the bias of LayerNormalization 'LayerNormalization_0': "):
        quantizing.run(model, dataset, out, **SAFE)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("strings", "'x' of the ONNX file is of type string: only numbers can be compared"),
    ],
)
def test_a_file_that_can_not_be_compared(name: str, message: str, tmp_path: Path, out: Path):
    case = graphs.CASES[name]()
    source, dataset = save_case(case, tmp_path)
    with pytest.raises(CrossquantError, match=message):
        import_model.run(source, dataset, out)
