"""The names of a graph's tensors and nodes have no effect on the quantized values or on any answer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from images.onnx import dynamic, explain, float16, fold_batchnorm, import_model
from images.onnx.graph import unique_names
from images.onnx.graph.normalize import iterate_graphs
from images.onnx.quantize.calibrate import compute_ranges
from shared.contract import read
from shared.sensitivity.layer_errors import FILE as LAYERS
from shared.sensitivity.layer_errors import Sensitivity
from tests.images.models import FILE
from tests.images.onnx import quantizing
from tests.images.sample_folders import save_samples

WIDTH = 16
STATIC = (
    *("0", "1", "_quantized", "_scale", "_zero_point", "_quantized_scale", "_quantized_zero_point"),
    *("_QuantizeLinear", "_QuantizeLinear_Input", "_QuantizeLinear_Output"),
    *("_DequantizeLinear", "_DequantizeLinear_Input", "_DequantizeLinear_Output"),
    *("_ReduceMin", "_ReduceMax", "_ReduceMin_Reshape", "_ReduceMax_Reshape"),
)
DYNAMIC = (
    *("_quantized", "_scale", "_zero_point", "_QuantizeLinear", "_MatMul", "_quant", "_output_quantized"),
    *("_output_quantized_cast_output", "_quant_scales_mul", "_quant_output_scale_mul", "_Add", "_scale_Sub"),
)
PAIRS = (  # whose name is added to, and who is called that
    *(("bias", "middle"), ("bias", "weight_2"), ("middle", "last"), ("middle", "weight_2")),
    *(("weight_1", "middle"), ("weight_1", "weight_2"), ("input", "middle"), ("last", "first")),
)

Call = Callable[[str], str]


def save(folder: Path, call: Call = lambda name: name, node: Call = lambda name: name) -> Path:
    """Save three dense layers, the first two with one bias; `call` and `node` rename tensors and nodes."""
    random = np.random.default_rng(0)
    weights = {f"weight_{number}": random.normal(0, 0.4, (WIDTH, WIDTH)) for number in (1, 2, 3)}
    constants = {**weights, "bias": random.normal(0, 1, WIDTH), "bias_3": random.normal(0, 1, WIDTH)}
    steps = [
        ("Gemm", ["input", "weight_1", "bias"], "first"),
        ("Relu", ["first"], "middle"),
        ("Gemm", ["middle", "weight_2", "bias"], "second"),
        ("Relu", ["second"], "last"),
        ("Gemm", ["last", "weight_3", "bias_3"], "output"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node(kind, [call(name) for name in given], [call(output)], name=node(f"{kind}_{output}"))
            for kind, given, output in steps
        ],
        "named",
        [helper.make_tensor_value_info(call("input"), TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info(call("output"), TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(array.astype(np.float32), call(name)) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    folder.mkdir()
    onnx.save(model, folder / FILE)
    return folder


def inputs(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (40, WIDTH)).astype(np.float32)


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    return save_samples(tmp_path / "calibration", inputs(1))


def answer_quantized(model: Path, calibration: Path, out: Path, **changes: object) -> np.ndarray:
    """Return the answers of the file that is made of `model`."""
    out.mkdir()
    if changes.pop("dynamic", False):
        dynamic.run(model, out, weight="int8", per_channel=False, exclude=[], exclude_types=[])
    else:
        quantizing.run(model, calibration, out, **{**quantizing.RECIPES["u8s8"], **changes})
    return quantizing.answers(out, inputs(2))


def sqnr(exact: np.ndarray, quantized: np.ndarray) -> float:
    return float(10 * np.log10(np.square(exact).sum() / np.square(exact - quantized).sum()))


def swapped(base: str, suffix: str, victim: str) -> Call:
    return lambda name: base + suffix if name == victim else name


def test_the_copy_of_a_shared_bias_is_no_other_tensor(calibration: Path, tmp_path: Path):
    """ONNX Runtime calls the copy NAME + a number, here the name of an activation."""
    model = save(tmp_path / "model", swapped("bias", "0", "middle"))
    exact = quantizing.answers(model, inputs(2))
    assert sqnr(exact, answer_quantized(model, calibration, tmp_path / "out")) > 20


def test_layers_without_names_that_share_a_bias_read_their_own(calibration: Path, tmp_path: Path):
    """ONNX Runtime names the copy after the node: unmarked, both nodes read the second's copy, and have 16
    dB, not 26.
    """
    model = save(tmp_path / "model", node=lambda _: "")
    exact = quantizing.answers(model, inputs(2))
    assert sqnr(exact, answer_quantized(model, calibration, tmp_path / "out")) > 20


def test_what_a_weight_is_restored_to_is_no_other_weight(calibration: Path, tmp_path: Path):
    """Unmarked, the second layer computes with the first one's weights, without an error: 5 dB."""
    model = save(tmp_path / "model", swapped("weight_1", "_DequantizeLinear_Output", "weight_2"))
    exact = quantizing.answers(model, inputs(2))
    assert sqnr(exact, answer_quantized(model, calibration, tmp_path / "out")) > 20


@pytest.mark.parametrize("suffix", STATIC)
def test_no_name_changes_an_answer(suffix: str, calibration: Path, tmp_path: Path):
    expected = answer_quantized(save(tmp_path / "plain"), calibration, tmp_path / "plain.quantized")
    for number, (base, victim) in enumerate(PAIRS):
        model = save(tmp_path / str(number), swapped(base, suffix, victim))
        actual = answer_quantized(model, calibration, tmp_path / f"{number}.quantized")
        np.testing.assert_array_equal(actual, expected, err_msg=f"{victim} is called {base}{suffix}")


@pytest.mark.parametrize("suffix", DYNAMIC)
def test_no_name_changes_an_answer_of_dynamic_quantization(suffix: str, calibration: Path, tmp_path: Path):
    expected = answer_quantized(save(tmp_path / "plain"), calibration, tmp_path / "plain.quantized", dynamic=True)
    for number, (base, victim) in enumerate(PAIRS):
        model = save(tmp_path / str(number), swapped(base, suffix, victim))
        actual = answer_quantized(model, calibration, tmp_path / f"{number}.quantized", dynamic=True)
        np.testing.assert_array_equal(actual, expected, err_msg=f"{victim} is called {base}{suffix}")


@pytest.mark.parametrize("name", ["", "same", "Gemm_middle"])
@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_nodes_without_a_name_or_with_one_name_are_quantized_alike(
    way: str, name: str, calibration: Path, tmp_path: Path
):
    """The quantizer identifies the copy of a bias by its node's name."""
    changes = {"dynamic": way == "dynamic"}
    expected = answer_quantized(save(tmp_path / "plain"), calibration, tmp_path / "plain.quantized", **changes)
    model = save(tmp_path / "model", node=lambda _: name)
    np.testing.assert_array_equal(answer_quantized(model, calibration, tmp_path / "quantized", **changes), expected)


def names_of_ends(model: Path) -> list[list[str]]:
    graph = onnx.load(model / FILE).graph
    return [[item.name for item in items] for items in (graph.input, graph.output)]


@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_inputs_outputs_and_layers_keep_their_names(way: str, calibration: Path, tmp_path: Path):
    """Names that ONNX Runtime adds stay as it chose them if they are unique."""
    model = save(tmp_path / "model")
    answer_quantized(model, calibration, tmp_path / "quantized", dynamic=way == "dynamic")
    graph = onnx.load(tmp_path / "quantized" / FILE).graph
    assert names_of_ends(tmp_path / "quantized") == [["input"], ["output"]]
    names = {tensor.name for tensor in graph.initializer}
    assert {"weight_1_quantized", "weight_1_scale"} <= names
    everything = {*unique_names.tensor_names(graph), *(node.name for node in graph.node)}
    assert not [name for name in everything if unique_names.MARK in name]


@pytest.mark.parametrize("name", ["a b", "it's", '"', "<in>&é", "0", "../x", "{x}%s", "first", "x" * 300])
def test_every_file_that_is_shipped_has_the_users_names(name: str, calibration: Path, tmp_path: Path):
    wanted = {"input": name, "output": f"{name} out", "first": "inner"}
    source = save(tmp_path / "source", lambda own: wanted.get(own, own))
    for folder in ("exported", "onnx.fp32", "half"):
        (tmp_path / folder).mkdir()
    (calibration / "about.json").write_text('{"task": "fidelity"}')
    import_model.run(source, calibration, tmp_path / "exported")
    model = tmp_path / "onnx.fp32"
    fold_batchnorm.run(tmp_path / "exported", model, enabled=True)
    float16.run(model, tmp_path / "half")
    exact = quantizing.answers(model, inputs(2))
    for way, folder in ((False, tmp_path / "static"), (True, tmp_path / "dynamic")):
        assert sqnr(exact, answer_quantized(model, calibration, folder, dynamic=way)) > 20
    for folder in ("exported", "onnx.fp32", "half", "static", "dynamic"):
        assert names_of_ends(tmp_path / folder) == [[name], [f"{name} out"]], folder


def test_a_name_with_the_mark_in_it_is_left_as_it_is(calibration: Path, tmp_path: Path):
    model = save(tmp_path / "model", lambda name: f"{unique_names.MARK}{name}{unique_names.MARK}")
    expected = answer_quantized(save(tmp_path / "plain"), calibration, tmp_path / "plain.quantized")
    np.testing.assert_array_equal(answer_quantized(model, calibration, tmp_path / "quantized"), expected)
    assert (
        onnx.load(tmp_path / "quantized" / FILE).graph.input[0].name == f"{unique_names.MARK}input{unique_names.MARK}"
    )


def test_an_excluded_layer_is_found_by_its_name(calibration: Path, tmp_path: Path):
    exact = quantizing.answers(save(tmp_path / "model"), inputs(2))
    ways = {"all": [], "two": ["Gemm_second"]}
    quantized_layers = {
        key: sqnr(exact, answer_quantized(tmp_path / "model", calibration, tmp_path / key, exclude=names))
        for key, names in ways.items()
    }
    assert quantized_layers["two"] > quantized_layers["all"]


def test_ranges_have_the_names_of_the_graph(calibration: Path, tmp_path: Path):
    model = save(tmp_path / "model", swapped("first", "_ReduceMin", "last"))
    ranges = compute_ranges(model / FILE, calibration, "minmax", 99.99, tmp_path)
    assert {"input", "first", "middle", "second", "first_ReduceMin", "output"} == set(ranges)


@pytest.mark.parametrize("bias", ["bias", "bias_7"])
def test_a_graph_whose_names_collide_and_that_shares_a_bias_can_be_explained(
    bias: str, calibration: Path, out: Path, tmp_path: Path
):
    called = {"middle": "weight_1_quantized", "bias": bias}
    model = save(tmp_path / "model", lambda name: called.get(name, name))
    answer_quantized(model, calibration, tmp_path / "onnx.u8s8")
    explain.run(tmp_path / "onnx.u8s8", model, calibration, out, images=20)
    assert [layer.operator for layer in read(Sensitivity, out / LAYERS).layers].count("Gemm") == 3


def test_no_name_changes_an_answer_of_weights_in_16_bits(tmp_path: Path):
    """The second weight is called what the first one is stored as."""
    answers = []
    for name, call in {"plain": lambda name: name, "met": swapped("weight_1", "_float16", "weight_2")}.items():
        out = tmp_path / f"{name}.float16"
        out.mkdir()
        float16.run(save(tmp_path / name, call), out)
        answers.append(quantizing.answers(out, inputs(2)))
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("name", ["middle_exact", "input_switched", "middle_flag", "middle_scale", "quantized_flags"])
def test_no_name_changes_what_is_explained(name: str, calibration: Path, tmp_path: Path):
    distances = []
    for folder, called in {"plain": "last", "met": name}.items():
        model = save(tmp_path / folder, lambda each: called if each == "last" else each)  # noqa: B023
        answer_quantized(model, calibration, tmp_path / f"{folder}.u8s8")
        (tmp_path / f"{folder}.explained").mkdir()
        explain.run(tmp_path / f"{folder}.u8s8", model, calibration, tmp_path / f"{folder}.explained", images=20)
        distances.append(
            [layer.kept_kl for layer in read(Sensitivity, tmp_path / f"{folder}.explained" / LAYERS).layers]
        )
    assert distances[0] == distances[1]


def test_names_in_loops_and_branches_are_marked_with_those_that_they_read():
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"], name="add")],
        "then",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32([1]), "w")],
    )
    node = helper.make_node("If", ["c"], ["z"], name="if", then_branch=branch, else_branch=branch)
    takes = [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("x", 1, [1])]
    graph = helper.make_graph([node], "outer", takes, [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    copy, mark = unique_names.mark_names(model)
    onnx.checker.check_model(copy, full_check=True)
    names = [name for graph in iterate_graphs(copy.graph) for name in unique_names.tensor_names(graph)]
    assert all(name.endswith(mark) for name in names)
    unique_names.remove_marks(copy, mark)
    assert set(unique_names.tensor_names(copy.graph)) == set(unique_names.tensor_names(model.graph))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a·", "a·_scale"], ["a", "a_scale"]),
        (["a·_scale", "a_scale·"], ["a·_scale", "a_scale"]),
        (["a·_b", "a_b·"], ["a·_b", "a_b"]),
        (["a·0", "a0·_scale", "a·0_scale"], ["a0", "a0_scale", "a·0_scale"]),
    ],
)
def test_what_was_there_has_its_name_back_and_what_was_made_up_gives_way(names: list[str], wanted: list[str]):
    assert [unique_names.names_without_marks(names, "·")[name] for name in names] == wanted
