"""A user's own ONNX file is imported as it is where possible, adapted where necessary, or refused in one line."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from images.onnx import fold_batchnorm, import_model, operator_support, session
from shared import onnx_size
from shared.data import examples, signature
from shared.errors import CrossquantError
from tests.images import models
from tests.images.sample_folders import save_samples


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    labels = {"shape": [], "low": 0, "high": 4}
    return save_samples(tmp_path / "dataset", models.images(5).astype(np.uint8), about={"labels": labels})


def save_model(source: Path, model: onnx.ModelProto, name: str = "größe 1.onnx") -> onnx.ModelProto:
    onnx.save(model, source / name)
    return model


def convolutional(tmp_path: Path) -> onnx.ModelProto:
    return onnx.load(models.convolutional(tmp_path / "made") / models.FILE)


def refused(source: Path, dataset: Path, out: Path) -> str:
    with pytest.raises(CrossquantError) as caught:
        import_model.run(source, dataset, out)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def fixed(model: onnx.ModelProto, batch: int = 1) -> onnx.ModelProto:
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.shape.dim[0].dim_value = batch
    return model


def answers(model: onnx.ModelProto, images: np.ndarray, folder: Path) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    return session.load(folder, 1)((images,))[0]


def test_a_file_is_taken_as_it_is(source: Path, dataset: Path, out: Path, tmp_path: Path):
    model = save_model(source, convolutional(tmp_path))
    import_model.run(source, dataset, out)
    assert not (out / "notes.json").exists()
    images = models.images(5)
    np.testing.assert_array_equal(session.load(out, 1)((images,))[0], answers(model, images, tmp_path / "own"))
    written = signature.load(out)
    assert [(item.name, item.dtype, item.shape) for item in written.inputs] == [("image", "float32", (8, 8, 3))]
    assert written.batch is None


def double_weights(model: onnx.ModelProto, *_: object) -> list[str]:
    """A rewrite with a fault."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(tensor), tensor.name))
    return []


def test_the_answers_of_the_file_itself_are_kept(source: Path, dataset: Path, out: Path, tmp_path: Path):
    model = save_model(source, fixed(convolutional(tmp_path)))
    import_model.run(source, dataset, out)
    kept = examples.read(out)
    assert kept is not None
    one_by_one = [answers(model, sample[None], tmp_path / "own") for sample in kept.inputs[0]]
    np.testing.assert_array_equal(kept.outputs[0], np.concatenate(one_by_one))


def test_an_update_that_changes_answers_is_refused(
    source: Path, dataset: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_model(source, convolutional(tmp_path))
    monkeypatch.setattr(import_model, "modernize_model", double_weights)
    message = refused(source, dataset, out)
    assert message.startswith("updating the ONNX file changes its answers: output 0 for 3 samples is off by ")
    assert message.endswith("; export it again, with an opset from 13 to 18")


@pytest.mark.parametrize("order", [("b", "a"), ("a", "b")])
def test_the_file_is_asked_in_its_own_order(source: Path, out: Path, tmp_path: Path, order: tuple[str, str]):
    """Arrays that are named like the inputs, in either order."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("a", "b")]
    outputs = [helper.make_tensor_value_info("c", TensorProto.FLOAT, ["n", 3])]
    graph = helper.make_graph([helper.make_node("Sub", ["a", "b"], ["c"])], "sub", inputs, outputs)
    save_model(source, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    arrays = [np.full((5, 3), number, np.float32) for number in (1, 2)]
    about = {"task": "fidelity", "inputs": list(order)}
    import_model.run(source, save_samples(tmp_path / "pairs", *arrays, about=about), out)
    kept = examples.read(out)
    assert kept is not None
    assert (kept.outputs[0] == (-1 if order == ("a", "b") else 1)).all()


def test_later_conversions_are_compared_on_samples_of_the_data_set(
    source: Path, dataset: Path, out: Path, tmp_path: Path
):
    save_model(source, convolutional(tmp_path))
    import_model.run(source, dataset, out)
    fold_batchnorm.run(out, tmp_path, enabled=True)
    example = examples.read(tmp_path)
    assert example is not None
    np.testing.assert_array_equal(example.inputs[0], models.images(5).astype(np.uint8).astype(np.float32))
    np.testing.assert_allclose(
        example.outputs[0], answers(onnx.load(out / "model.onnx"), example.inputs[0], tmp_path / "trial"), atol=1e-5
    )


def test_a_batch_of_one_is_opened(source: Path, dataset: Path, out: Path, tmp_path: Path):
    images = models.images(5)
    expected = answers(convolutional(tmp_path), images, tmp_path / "own")
    save_model(source, fixed(convolutional(tmp_path)))
    import_model.run(source, dataset, out)
    assert json.loads((out / "notes.json").read_text())[0].startswith("the file was saved for a batch of 1")
    np.testing.assert_allclose(session.load(out, 1)((images,))[0], expected, rtol=1e-4)
    assert signature.load(out).batch is None
    assert sorted(path.name for path in out.iterdir()) == ["example.npz", "model.onnx", "notes.json", "signature.json"]


def reshaped(target: list[int], batch: int, answer: list[int | str]) -> onnx.ModelProto:
    """A Reshape to `target`, then a dense layer."""
    random = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(np.array(target, np.int64), "target"),
        numpy_helper.from_array(random.normal(size=(target[-1] if target[-1] > 0 else 192, 10)).astype("f"), "weight"),
    ]
    nodes = [
        helper.make_node("Reshape", ["image", "target"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["answer"]),
    ]
    takes = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 8, 8, 3])
    gives = helper.make_tensor_value_info("answer", TensorProto.FLOAT, answer)
    graph = helper.make_graph(nodes, "model", [takes], [gives], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("target", [[1, 192], [1, -1]])
def test_a_batch_that_a_reshape_says_is_opened_too(target: list[int], source: Path, dataset: Path, out: Path):
    save_model(source, reshaped(target, 1, [1, 10]))
    import_model.run(source, dataset, out)
    assert session.load(out, 1)((models.images(5),))[0].shape == (5, 10)
    assert signature.load(out).batch is None


def test_a_batch_that_can_not_be_opened_stays_and_is_filled_up(source: Path, dataset: Path, out: Path):
    """The batch is part of what is computed: every second sample answers for two."""
    model = reshaped([2, 192], 2, [2, 10])
    nodes = [helper.make_node("ReduceMax", ["flat"], ["top"], axes=[0], keepdims=1)]
    nodes.append(helper.make_node("Sub", ["flat", "top"], ["less"]))
    model.graph.node[1].input[0] = "less"
    for number, node in enumerate(nodes):
        model.graph.node.insert(1 + number, node)
    save_model(source, model)
    import_model.run(source, dataset, out)
    assert json.loads((out / "notes.json").read_text()) == ["the model takes batches of 2 alone"]
    assert signature.load(out).batch == 2
    assert session.load(out, 1)((models.images(5),))[0].shape == (5, 10)


@pytest.mark.parametrize(("batch", "stated"), [("any", "image: any, state: 2"), (1, "image: 1, state: 2")])
def test_an_input_whose_first_axis_is_not_the_samples(
    batch: str | int, stated: str, source: Path, out: Path, tmp_path: Path
):
    """As the state of a recurrent layer: (layers, samples, units). Two samples would fit, and be mixed."""
    nodes = [
        helper.make_node("Transpose", ["state"], ["by_sample"], perm=[1, 0, 2]),
        helper.make_node("ReduceSum", ["by_sample"], ["sums"], axes=[1], keepdims=0),
        helper.make_node("Add", ["image", "sums"], ["answer"]),
    ]
    takes = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 4]),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, batch, 4]),
    ]
    gives = [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [batch, 4])]
    save_model(
        source,
        helper.make_model(
            helper.make_graph(nodes, "model", takes, gives), ir_version=8, opset_imports=[helper.make_opsetid("", 11)]
        ),
    )
    random = np.random.default_rng(0)
    arrays = (
        random.normal(size=(6, 4)).astype("f"),
        random.normal(size=(6, batch if batch == 1 else 2, 4)).astype("f"),
    )
    with pytest.raises(CrossquantError) as caught:
        import_model.run(source, save_samples(tmp_path / "data", *arrays, about={"labels": None}), out)
    assert str(caught.value) == (
        f"the first axis of each input must be the samples, and the model states these sizes for it: {stated}"
    )


def test_an_old_file_is_brought_up_to_date(source: Path, dataset: Path, out: Path):
    save_model(source, old(reshaped([0, 192], 0, ["n", 10])))
    import_model.run(source, dataset, out)
    assert json.loads((out / "notes.json").read_text()) == ["the file had opset 11: it was converted to 17"]
    assert onnx.load(out / "model.onnx").opset_import[0].version == 17
    assert [item.name for item in session.open_session(out / "model.onnx", 1).get_inputs()] == ["image"]


def old(model: onnx.ModelProto) -> onnx.ModelProto:
    """Downgrade it to a file of 2018: opset 11, IR 3, the weights among the inputs."""
    model.opset_import[0].version, model.ir_version = 11, 3
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def test_layers_without_names_get_one(source: Path, dataset: Path, out: Path):
    save_model(source, reshaped([-1, 192], 0, ["n", 10]))
    import_model.run(source, dataset, out)
    assert [node.name for node in onnx.load(out / "model.onnx").graph.node] == ["Reshape_0", "MatMul_1"]


def test_layers_and_tensors_whose_names_can_not_be_shown_get_another(source: Path, dataset: Path, out: Path):
    """The printable characters stay."""
    model = reshaped([-1, 192], 0, ["n", 10])
    first, second = model.graph.node
    first.name, second.name = "a\x1b[31mb\n", 'größe "1" | <b>'
    first.output[0] = second.input[0] = "inside\x07"
    save_model(source, model)
    import_model.run(source, dataset, out)
    nodes = onnx.load(out / "model.onnx").graph.node
    assert [node.name for node in nodes] == ["a_[31mb__6137a64c629d7fb7", 'größe "1" | <b>']
    assert nodes[0].output[0] == nodes[1].input[0] != "inside\x07"
    assert nodes[0].output[0].startswith("inside__")


@pytest.mark.parametrize("letter", ["\x1b", "\n", "\u202e"])
@pytest.mark.parametrize("place", ["input", "output"])
def test_an_input_whose_name_can_not_be_shown(
    place: str, letter: str, source: Path, dataset: Path, out: Path, tmp_path: Path
):
    model = convolutional(tmp_path)
    before, after = getattr(model.graph, place)[0].name, f"a{letter}"
    getattr(model.graph, place)[0].name = after
    for node in model.graph.node:
        node.input[:] = [after if name == before else name for name in node.input]
        node.output[:] = [after if name == before else name for name in node.output]
    save_model(source, model)
    assert refused(source, dataset, out) == f"{after!a} of the ONNX file has a name that can't be printed: rename it"


def test_a_model_for_other_data(source: Path, dataset: Path, out: Path, tmp_path: Path):
    save_model(source, convolutional(tmp_path))
    np.save(dataset / "input_0.npy", np.zeros((5, 3, 8, 8), np.uint8))
    assert refused(source, dataset, out) == (
        "input 'image' of the model takes (8, 8, 3), the data set has (3, 8, 8): "
        "channels first and last are swapped, set the data's layout"
    )


def test_an_operator_that_nobody_knows(source: Path, dataset: Path, out: Path):
    model = reshaped([-1, 192], 0, ["n", 10])
    model.graph.node[0].op_type = "Bogus"
    save_model(source, model)
    assert "the ONNX file is not valid: No Op registered for Bogus" in refused(source, dataset, out)


@pytest.mark.parametrize("location", ["a.data", "weights/a.bin"])
@pytest.mark.parametrize("one_file", [True, False])
def test_weights_in_other_files_of_the_folder_are_taken_in(
    location: str, one_file: bool, source: Path, dataset: Path, out: Path, tmp_path: Path
):
    """One for all of them, or, as PyTorch wrote them for long, one for each."""
    (source / "weights").mkdir()
    model = convolutional(tmp_path)
    images = models.images(5)
    expected = answers(model, images, tmp_path / "own")
    options = {"all_tensors_to_one_file": one_file, "location": location if one_file else None}
    onnx.save(model, source / "a.onnx", save_as_external_data=True, size_threshold=0, **options)
    import_model.run(source, dataset, out)
    np.testing.assert_array_equal(session.load(out, 1)((images,))[0], expected)
    assert sorted(path.name for path in out.iterdir()) == ["example.npz", "model.onnx", "signature.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path: path.unlink(),
            "keeps weights in 'a.data', which is not beside it: give the folder's files together",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "which is cut short, or is that of another model"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "outside of its folder"),
        (lambda path: (path.unlink(), path.mkdir()), "which is not beside it"),
    ],
)
def test_weights_that_are_not_all_there(
    change: Callable[[Path], object], message: str, source: Path, dataset: Path, out: Path, tmp_path: Path
):
    model = convolutional(tmp_path)
    onnx.save(model, source / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0)
    change(source / "a.data")
    assert message in refused(source, dataset, out)


@pytest.mark.parametrize("entries", [{"offset": "-1"}, {"length": "-5"}, {"offset": "x"}, {"length": str(1 << 60)}])
def test_weights_at_no_place_of_their_file(
    entries: dict[str, str], source: Path, dataset: Path, out: Path, tmp_path: Path
):
    model = convolutional(tmp_path)
    onnx.save(model, source / "a.onnx", save_as_external_data=True, location="a.data", size_threshold=0)
    changed = onnx.load(source / "a.onnx", load_external_data=False)
    for item in changed.graph.initializer[0].external_data:
        item.value = entries.get(item.key, item.value)
    (source / "a.onnx").write_bytes(changed.SerializeToString())
    assert "which is cut short, or is that of another model" in refused(source, dataset, out)


@pytest.mark.parametrize("external", [True, False])
def test_a_file_too_large_is_refused_before_its_weights_are_read(
    external: bool, source: Path, dataset: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = convolutional(tmp_path)
    onnx.save(model, source / "a.onnx", save_as_external_data=external, location="a.data", size_threshold=0)
    size = sum(path.stat().st_size for path in source.iterdir())
    monkeypatch.setattr(onnx_size, "LARGEST", size)
    import_model.read_model(source / "a.onnx")
    monkeypatch.setattr(onnx_size, "LARGEST", size - 1000)
    assert refused(source, dataset, out).startswith("a.onnx is too large: it has 0.00 GB, and an ONNX file holds 0 GB")


def outside() -> TensorProto:
    """A constant that lies in a file outside of the model's folder."""
    tensor = TensorProto(name="secret", data_type=TensorProto.UINT8, dims=[24], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../../../../../etc/passwd")
    return tensor


def in_a_branch(model: onnx.ModelProto) -> None:
    answer = helper.make_tensor_value_info("secret", TensorProto.UINT8, [24])
    branch = helper.make_graph([], "branch", [], [answer], [outside()])
    condition = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    model.graph.node.extend([condition, helper.make_node("If", ["yes"], ["x"], then_branch=branch, else_branch=branch)])


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["x"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(outside())
    model.functions.append(helper.make_function("own", "F", [], ["x"], [node], [helper.make_opsetid("", 17)]))


def as_a_sparse_constant(model: onnx.ModelProto) -> None:
    sparse = onnx.SparseTensorProto(values=outside(), dims=[24])
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(24), "places"))
    model.graph.sparse_initializer.append(sparse)


def in_a_list(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="more", type=onnx.AttributeProto.TENSORS).tensors.append(outside())


@pytest.mark.parametrize("put", [in_a_branch, in_a_function, as_a_sparse_constant, in_a_list])
@pytest.mark.parametrize("reads", ["import_model", "inspect"])
def test_a_constant_that_lies_outside_is_not_read(
    put: Callable[[onnx.ModelProto], None], reads: str, source: Path, dataset: Path, out: Path
):
    model = reshaped([-1, 192], 0, ["n", 10])
    put(model)
    (source / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CrossquantError, match=r"'\.\./\.\./.*/etc/passwd', outside of its folder: save"):
        import_model.run(source, dataset, out) if reads == "import_model" else operator_support.run(source, out)
    assert list(out.iterdir()) == []


def test_an_operator_of_somebody_s_own_library(source: Path, dataset: Path, out: Path):
    """No custom library is ever loaded: only ONNX Runtime's own operators can run."""
    model = reshaped([-1, 192], 0, ["n", 10])
    model.graph.node[0].domain = "ai.onnx.contrib"
    model.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))
    save_model(source, model)
    assert refused(source, dataset, out)


def test_a_pickle_in_disguise(source: Path, dataset: Path, out: Path):
    (source / "model.onnx").write_bytes(pickle.dumps({"weights": [1.0]}))
    assert "is a PyTorch file, not an ONNX file" in refused(source, dataset, out)


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_a_file_that_is_cut_short(cut: int, source: Path, dataset: Path, out: Path, tmp_path: Path):
    content = convolutional(tmp_path).SerializeToString()
    (source / "model.onnx").write_bytes(content[:cut] if cut < len(content) else content[:-7])
    assert "is no ONNX file, or is cut short" in refused(source, dataset, out)


@pytest.mark.parametrize("names", [[], ["a.onnx", "b.onnx"]])
def test_not_exactly_one_file(names: list[str], source: Path, dataset: Path, out: Path):
    for name in names:
        (source / name).write_bytes(b"")
    assert refused(source, dataset, out) == "the model must be one .onnx file"
