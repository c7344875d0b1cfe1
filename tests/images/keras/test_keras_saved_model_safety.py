"""SavedModels: programs that only compute are accepted; others are refused, with the operator's name."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.framework.variable_pb2 import VariableDef

from images.keras import load
from images.keras.model import runtime
from images.keras.safety import program, tf_operators
from tests.images.keras.load_errors import refusal_by_both

SPEC = tf.TensorSpec((None, 3), tf.float32, name="x")
Act = Callable[[tf.Tensor, str], Any]


def list_refused_operators(source: Path, dataset: Path, out: Path) -> str:
    """The operators that the error names."""
    beginning, _, rest = refusal_by_both(source, dataset, out).partition(" (")
    assert beginning == "saved has operators that aren't known to only compute"
    names, _, end = rest.partition("): ")
    assert end == "--trust allows that, in the container"
    return names


def predict(out: Path, x: np.ndarray) -> np.ndarray:
    (output,) = keras.tree.flatten(runtime.open_model(out)([tf.constant(x)]))
    return output.numpy()


def print_to_file(_: tf.Tensor, path: str) -> None:
    tf.print("executed", output_stream=f"file://{path}")


def write_file(_: tf.Tensor, path: str) -> None:
    tf.io.write_file(path, "executed")


def save_tensor(x: tf.Tensor, path: str) -> None:
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x])


def write_summary(_: tf.Tensor, path: str) -> None:
    writer = tf.raw_ops.SummaryWriter(shared_name="writer")
    tf.raw_ops.CreateSummaryFileWriter(writer=writer, logdir=path, max_queue=1, flush_millis=1, filename_suffix=".mark")


def read_lines(*_: Any) -> Any:
    return tf.data.TextLineDataset("/etc/passwd").reduce("", lambda state, line: state + line)


def map_memory(*_: Any) -> Any:
    return tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[4], memory_region_name="/etc/hostname")


def read_contents(*_: Any) -> Any:
    return tf.io.read_file("/etc/passwd")


def list_files(*_: Any) -> Any:
    return tf.io.matching_files("/etc/*")


def call_python(x: tf.Tensor, _: str) -> Any:
    return tf.numpy_function(lambda value: value, [x], tf.float32)


def restore_tensor(_: tf.Tensor, path: str) -> Any:
    return tf.raw_ops.RestoreV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])


def fill_table(*_: Any) -> Any:
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    return tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename="/etc/passwd", key_index=-2, value_index=-1
    )


ACTS: dict[str, tuple[Act, str]] = {
    "PrintV2": (print_to_file, "PrintV2 to file://"),
    "WriteFile": (write_file, "WriteFile"),
    "SaveV2": (save_tensor, "SaveV2"),
    "summary": (write_summary, "CreateSummaryFileWriter, SummaryWriter"),
    "TextLineDataset": (read_lines, "TextLineDataset"),
    "ImmutableConst": (map_memory, "ImmutableConst"),
    "ReadFile": (read_contents, "ReadFile"),
    "MatchingFiles": (list_files, "MatchingFiles"),
    "PyFunc": (call_python, "PyFunc"),
    "RestoreV2": (restore_tensor, "RestoreV2"),
    "table": (fill_table, "InitializeTableFromTextFileV2"),
}


def in_answer(act: Act, path: str) -> Any:
    """In the function that answers."""

    @tf.function(input_signature=[SPEC])
    def answer(x: tf.Tensor) -> dict:
        act(x, path)
        return {"y": x * 2}

    return answer


def in_loop(act: Act, path: str) -> Any:
    """In a function that a branch in a loop calls."""

    @tf.function(input_signature=[SPEC])
    def inner(x: tf.Tensor) -> tf.Tensor:
        act(x, path)
        return x + 1

    def body(i: tf.Tensor, x: tf.Tensor) -> tuple:
        return i + 1, tf.cond(tf.reduce_sum(x) > 1, lambda: inner(x), lambda: x)

    @tf.function(input_signature=[SPEC])
    def answer(x: tf.Tensor) -> dict:
        return {
            "y": tf.while_loop(lambda i, _: i < 3, body, (0, x), shape_invariants=(tf.TensorShape(()), SPEC.shape))[1]
        }

    return answer


def in_unused_function(act: Act, path: str) -> Any:
    """In a function that nothing calls, beside the one that answers."""
    return in_answer(lambda x, _: None, path), in_answer(act, path)


@pytest.mark.parametrize("place", [in_answer, in_loop, in_unused_function])
@pytest.mark.parametrize("act", ACTS)
def test_an_operator_that_does_more_than_compute(
    act: str, place: Callable[..., Any], source: Path, dataset: Path, out: Path, tmp_path: Path
):
    function, expected = ACTS[act]
    module = tf.Module()
    functions = place(function, str(tmp_path / "mark"))
    module.answer, module.other = functions if isinstance(functions, tuple) else (functions, None)
    tf.saved_model.save(module, source / "saved", signatures={"serving_default": module.answer})
    assert expected in list_refused_operators(source, dataset, out)
    assert not list(tmp_path.glob("mark*"))


def test_what_is_trusted_runs(source: Path, dataset: Path, out: Path, tmp_path: Path):
    module = tf.Module()
    module.answer = in_answer(print_to_file, str(tmp_path / "mark"))
    tf.saved_model.save(module, source / "saved", signatures={"serving_default": module.answer})
    load.run(source, dataset, out, trust=True)
    predict(out, np.ones((1, 3), "f"))
    assert (tmp_path / "mark").read_text() == "executed\n"


def write_graph(folder: Path, act: Act | None, path: str, start: bool = False) -> None:
    """As TensorFlow 1 saved it: no objects, one graph. `start`: the act is run once, after loading."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 3), name="x")
        factor = v1.get_variable("factor", initializer=[1.0, 2.0, 3.0], use_resource=False)
        done = [act(x if act is not save_tensor else factor, path)] if act else []
        last = session.graph.get_operations()[-1]
        with tf.control_dependencies([last] if act and not start else []):
            y = tf.identity(x * factor, name="y")
        session.run(factor.initializer)
        v1.saved_model.Builder.add_meta_graph_and_variables(
            builder := v1.saved_model.Builder(str(folder)),
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})},
            main_op=tf.group(last) if start else None,
            saver=v1.train.Saver([factor]),
        )
        builder.save()
        assert done is not None


def test_a_saved_model_of_tensorflow_1(source: Path, dataset: Path, out: Path):
    write_graph(source / "saved", None, "")
    load.run(source, dataset, out, trust=False)
    np.testing.assert_allclose(predict(out, np.ones((1, 3), "f")), [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("start", [False, True], ids=["answers", "starts"])
@pytest.mark.parametrize("act", ["WriteFile", "SaveV2", "ReadFile", "PrintV2", "RestoreV2"])
def test_an_operator_in_the_graph_itself(act: str, start: bool, source: Path, dataset: Path, out: Path, tmp_path: Path):
    function, expected = ACTS[act]
    write_graph(source / "saved", function, str(tmp_path / "mark"), start)
    assert expected in list_refused_operators(source, dataset, out)


def edit_program(folder: Path, change: Callable[[Any], None]) -> None:
    holder = program.read_program(folder)
    change(holder)
    (folder / program.FILE).write_bytes(holder.SerializeToString())


def export_dense(folder: Path) -> Path:
    inputs = keras.Input((3,), name="x")
    keras.Model(inputs, layers.Dense(2, name="y")(inputs)).export(folder, verbose=False)
    return folder


def find_saver(meta: Any) -> Any:
    """The function that writes the variables."""
    functions = meta.graph_def.library.function
    return next(item for item in functions if any(node.op == "SaveV2" for node in item.node_def))


def test_the_saver_may_stay_where_nothing_comes_to_it(source: Path):
    export_dense(source / "saved")
    graph = program.read_program(source / "saved").meta_graphs[0]
    assert find_saver(graph).signature.name
    assert program.find_unsafe_operators(program.read_program(source / "saved")) == []


def call_it(meta: Any) -> None:
    """From a function that answers."""
    other = next(item for item in meta.graph_def.library.function if "signature_wrapper" in item.signature.name)
    node = other.node_def.add(name="call", op="StatefulPartitionedCall")
    node.attr["f"].func.name = find_saver(meta).signature.name


def call_it_inside(meta: Any) -> None:
    """As an argument of a function that is an argument."""
    other = next(item for item in meta.graph_def.library.function if "signature_wrapper" in item.signature.name)
    node = other.node_def.add(name="call", op="StatelessIf")
    node.attr["then_branch"].func.name = other.signature.name
    node.attr["then_branch"].func.attr["f"].func.name = find_saver(meta).signature.name


def offer_it(meta: Any) -> None:
    """As a function of an object."""
    meta.object_graph_def.concrete_functions[find_saver(meta).signature.name].SetInParent()


def answer_by_it(meta: Any) -> None:
    """By a signature of the graph."""
    call = next(node for node in meta.graph_def.node if node.attr["f"].func.name == find_saver(meta).signature.name)
    info = next(iter(meta.signature_def["serving_default"].outputs.values()))
    info.name = f"{call.name}:0"


def start_with_it(meta: Any) -> None:
    call = next(node for node in meta.graph_def.node if node.attr["f"].func.name == find_saver(meta).signature.name)
    meta.collection_def["legacy_init_op"].node_list.value.append(call.name)


def swap_for_it(meta: Any) -> None:
    """TensorFlow puts another function in its place, and the other way round."""
    find_saver(meta).attr["api_implements"].s = b"own"


def plant_another(meta: Any) -> None:
    """That nothing calls: TensorFlow would put it in the place of one that says the same of itself."""
    planted = meta.graph_def.library.function.add()
    planted.CopyFrom(find_saver(meta))
    planted.signature.name = "planted"


def name_it_in_text(meta: Any) -> None:
    other = next(item for item in meta.graph_def.library.function if "signature_wrapper" in item.signature.name)
    other.attr["forward_function_name"].s = find_saver(meta).signature.name.encode()


def differentiate_by_it(meta: Any) -> None:
    other = next(item for item in meta.graph_def.library.function if "signature_wrapper" in item.signature.name)
    meta.graph_def.library.gradient.add(
        function_name=other.signature.name, gradient_func=find_saver(meta).signature.name
    )


def answer_by_its_part(meta: Any) -> None:
    """By an output that consists of outputs."""
    call = next(node for node in meta.graph_def.node if node.attr["f"].func.name == find_saver(meta).signature.name)
    info = next(iter(meta.signature_def["serving_default"].outputs.values()))
    part = info.composite_tensor.components.add().composite_tensor.components.add()
    part.coo_sparse.values_tensor_name = f"{call.name}:0"


def initialize_by_it(meta: Any) -> None:
    call = next(node for node in meta.graph_def.node if node.attr["f"].func.name == find_saver(meta).signature.name)
    variable = VariableDef(initializer_name=call.name).SerializeToString()
    meta.collection_def["local_variables"].bytes_list.value.append(variable)


COMES_TO_IT = (call_it, call_it_inside, offer_it, answer_by_it, start_with_it, swap_for_it, plant_another)
COMES_TO_IT += (name_it_in_text, differentiate_by_it, answer_by_its_part, initialize_by_it)


@pytest.mark.parametrize("change", COMES_TO_IT)
def test_a_saver_that_something_comes_to(change: Callable[[Any], None], source: Path, dataset: Path, out: Path):
    edit_program(export_dense(source / "saved"), lambda holder: change(holder.meta_graphs[0]))
    assert "SaveV2" in list_refused_operators(source, dataset, out)


def leave_open(node: Any, _: Any) -> None:
    """What it writes to is for the caller to say."""
    node.attr["output_stream"].placeholder = "stream"


def leave_open_inside(node: Any, library: Any) -> None:
    """In the arguments of a function."""
    name = next(item.signature.name for item in library.function if "signature_wrapper" in item.signature.name)
    node.attr["function"].list.func.add(name=name).attr["inner"].placeholder = "stream"


def call_what_is_not_there(node: Any, _: Any) -> None:
    """A function by the name of an operator: TensorFlow runs the operator."""
    node.attr["function"].func.name = "WriteFile"


def call_an_operator(node: Any, library: Any) -> None:
    """Or the function that is called like it."""
    library.function.add().signature.name = "WriteFile"
    node.op = "WriteFile"


def hide_by_a_second(node: Any, library: Any) -> None:
    """Two functions of one name: which of them runs?"""
    holder = next(item for item in library.function if node in item.node_def)
    node.op = "WriteFile"
    library.function.add().signature.name = holder.signature.name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (leave_open, "PrintV2 with an attribute that its caller sets"),
        (leave_open_inside, "PrintV2 with an attribute that its caller sets"),
        (call_what_is_not_there, "WriteFile"),
        (call_an_operator, "WriteFile"),
        (hide_by_a_second, "WriteFile"),
    ],
)
def test_what_is_not_in_the_file_or_is_there_twice(
    change: Callable[[Any, Any], None], expected: str, source: Path, dataset: Path, out: Path
):
    module = tf.Module()
    module.answer = in_answer(lambda *_: tf.print("rows"), "")
    tf.saved_model.save(module, source / "saved", signatures={"serving_default": module.answer})

    def edit(holder: Any) -> None:
        library = holder.meta_graphs[0].graph_def.library
        nodes = [node for function in library.function for node in function.node_def]
        change(next(node for node in nodes if node.op == "PrintV2"), library)

    assert program.find_unsafe_operators(program.read_program(source / "saved")) == []
    edit_program(source / "saved", edit)
    assert list_refused_operators(source, dataset, out) == expected


def make_function(device: str, factor: float, act: Act | None, path: str) -> Any:
    """One of two functions that TensorFlow takes for each other, as Keras 2 wrote LSTM and GRU."""

    def scaled(x: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.identity(x), *([act(x, path)] if act else [])]):
            return x * factor

    attributes = {"api_implements": "lstm_1", "api_preferred_device": device}
    return tf.function(scaled, input_signature=[SPEC], autograph=False, experimental_attributes=attributes)


def save_two_functions(folder: Path, act: Act | None, path: str) -> None:
    """What answers is asked to be for the GPU; the other one lies in the library alone."""

    def write(to: Path, first: Any) -> Any:
        module = tf.Module()
        module.answer = tf.function(lambda x: {"y": first(x) + 1.0}, input_signature=[SPEC])
        tf.saved_model.save(module, to, signatures={"serving_default": module.answer})
        return program.read_program(to).meta_graphs[0].graph_def.library.function

    aside = write(folder.with_name("aside"), make_function("CPU", 3.0, act, path))
    shutil.rmtree(folder.with_name("aside"))
    write(folder, make_function("GPU", 2.0, None, ""))
    planted = [item for item in aside if "api_implements" in item.attr]
    edit_program(folder, lambda holder: holder.meta_graphs[0].graph_def.library.function.extend(planted))


@pytest.mark.parametrize("act", ["WriteFile", "SaveV2"])
def test_a_function_that_is_put_in_anothers_place(act: str, source: Path, dataset: Path, out: Path, tmp_path: Path):
    save_two_functions(source / "saved", lambda x, path: ACTS[act][0](x, path) or x, str(tmp_path / "mark"))
    assert act in list_refused_operators(source, dataset, out)
    assert not list(tmp_path.glob("mark*"))


def test_two_functions_for_one_layer_as_keras_2_wrote_them(source: Path, dataset: Path, out: Path):
    save_two_functions(source / "saved", None, "")
    load.run(source, dataset, out, trust=False)
    assert predict(out, np.ones((1, 3), "f")).tolist() in ([[3.0] * 3], [[4.0] * 3])


def test_a_second_graph_is_read_as_tensorflow_1_would(source: Path, dataset: Path, out: Path):
    """Which restores by the graph: its function may name any file."""

    def twice(holder: Any) -> None:
        holder.meta_graphs.add().CopyFrom(holder.meta_graphs[0])

    edit_program(export_dense(source / "saved"), twice)
    assert list_refused_operators(source, dataset, out) == "RestoreV2"


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt", "assets.extra/more", "code.py"])
def test_what_is_not_part_of_a_saved_model_is_not_copied(name: str, source: Path, dataset: Path, out: Path):
    export_dense(source / "saved")
    (source / "saved" / name).parent.mkdir(exist_ok=True)
    (source / "saved" / name).write_text("other")
    load.run(source, dataset, out, trust=False)
    assert not (out / "model.saved" / name).exists()


def test_operators_are_those_of_tensorflow():
    operators = {name for name in dir(tf.raw_ops) if name[0] != "_"}
    assert not {name for name in tf_operators.COMPUTE - operators if not name.startswith(("Ref", "Placeholder", "Xla"))}
    reaching = {"ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless", "PrintV2"}
    reaching |= {"ImmutableConst", "LoadAndRemapMatrix", "GenerateVocabRemapping", "FixedUnigramCandidateSampler"}
    reaching |= {"DecodeProtoV2", "EncodeProto", "DebugIdentityV2", "RemoteCall"}
    assert reaching <= operators and not (reaching | {"XlaCallModule", "RpcCall"}) & tf_operators.COMPUTE
    assert not [name for name in tf_operators.COMPUTE if "Dataset" in name or "Iterator" in name or "Reader" in name]


class Trained(tf.Module):
    """What a model brings along that was trained: dropout, losses, an optimizer with slots, a table, a print."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones((3, 2)))
        self.optimizer = tf.compat.v1.train.AdamOptimizer(0.1)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), tf.constant([0.5, 0.25])), 1.0
        )
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.kernel * self.kernel)
        self.optimizer.apply_gradients([(tape.gradient(loss, self.kernel), self.kernel)])

    @tf.function(input_signature=[SPEC])
    def answer(self, x: tf.Tensor) -> dict:
        tf.debugging.assert_all_finite(x, "finite")
        tf.print("rows", tf.shape(x)[0])
        return {"y": x @ self.kernel * self.table.lookup(tf.constant(2, tf.int64))}

    @tf.function(input_signature=[SPEC])
    def train(self, x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.nn.dropout(tf.nn.softmax(x @ self.kernel), 0.5))
        self.kernel.assign_sub(tape.gradient(loss, self.kernel))
        return loss


def test_a_saved_model_with_the_slots_of_an_optimizer(source: Path, dataset: Path, out: Path):
    """TensorFlow itself doesn't load it: if it does one day, the editing can go."""
    module = Trained()
    tf.saved_model.save(module, source / "saved", signatures={"serving_default": module.answer})
    nodes = program.read_program(source / "saved").meta_graphs[0].object_graph_def.nodes
    assert sum(len(node.slot_variables) for node in nodes) == 2
    with pytest.raises(AttributeError, match="add_slot"):
        tf.saved_model.load(source / "saved")
    before = (source / "saved" / program.FILE).read_bytes()
    load.run(source, dataset, out, trust=False)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("f")
    np.testing.assert_allclose(predict(out, x), module.answer(tf.constant(x))["y"], rtol=1e-6)
    assert (source / "saved" / program.FILE).read_bytes() == before


def recurrent() -> keras.Model:
    inputs = keras.Input((5, 3))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(inputs)
    return keras.Model(inputs, layers.GRU(2)(layers.Dropout(0.2)(x)))


def pictures() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.SeparableConv2D(4, 3)(layers.Resizing(6, 6)(inputs)))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.ZeroPadding2D()(x))))


def lookups() -> keras.Model:
    inputs = keras.Input((4,), dtype="int64")
    x = layers.IntegerLookup(vocabulary=[3, 5, 7])(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Embedding(5, 3)(x))))


@pytest.mark.parametrize("build", [recurrent, pictures, lookups])
@pytest.mark.parametrize("how", ["export", "save"])
def test_what_keras_writes_goes_through(build: Callable[[], keras.Model], how: str, source: Path):
    built = build()
    built.compile("adam", "mse")
    if how == "export":
        built.export(source / "saved", verbose=False)
    else:
        tf.saved_model.save(built, source / "saved")
    assert program.find_unsafe_operators(program.read_program(source / "saved")) == []
