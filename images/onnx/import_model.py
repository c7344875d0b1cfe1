"""Imports a user's own ONNX file, so that all later stages can treat it like one written by tf2onnx."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import inliner, version_converter

from images.onnx.graph import dynamic_batch, normalize, original
from images.onnx.graph.quantized import quantized_operators
from images.onnx.session import FILE, open_session
from shared import onnx_size
from shared.artifacts.notes import write_notes
from shared.data import examples, samples
from shared.data import signature as signatures
from shared.data.signature import Signature, Tensor
from shared.errors import CrossquantError
from shared.quantization import already
from shared.text import first_line, printable, tell_apart

MIN_IR, MIN_OPSET, OPSET, NEWEST = 8, 13, 17, 18  # IR version and default opset of tf2onnx; the quantizers' limits
TRIAL_SAMPLES = 64  # samples that the file is tried on, at most
PICKLE = b"\x80"
LONGEST_NAME = 100  # characters of a file's name in a message
NON_NUMERIC = (onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)
QUANTIZED = "the model is quantized already ({}): rows named fp32 run it as it is, and no recipe quantizes it again"


def run(source: Path, dataset: Path, out: Path) -> None:
    """Write `model.onnx`, one file with all weights, `signature.json` and, if there are any, `notes.json`.

    Also `quantized_already.json`, if it is, and `example.npz`, test samples, with the answers of the user's own file
    where ONNX Runtime runs it. CrossquantError if the file is not valid, doesn't fit the data set, or would answer
    otherwise.
    """
    model = read_model(find_model_file(source))
    before = original.open_original(model, out)
    ranks = [samples.mapped(path).ndim for path in samples.inputs(dataset)]
    notes = [*modernize_model(model, ranks), *describe_quantized(model)]
    onnx.save(model, out / FILE)
    open_session(out / FILE, 1)
    about = samples.about(dataset)
    order = signatures.match_names(read_signature(model), about.inputs)
    order_inputs(model, order)
    signatures.check_fits(read_signature(model), about, dataset)
    if pairing := signatures.describe_pairing(read_signature(model), about.inputs):
        notes.append(pairing)
    model, batch_notes = dynamic_batch.make_batch_dynamic(model, out, samples.take(dataset, slice(TRIAL_SAMPLES)))
    onnx.save(model, out / FILE)
    ends, quantized = read_signature(model), quantized_operators(model)
    example = examples.take_samples(dataset, [tensor.dtype for tensor in ends.inputs], ends.batch)
    if before:
        example = original.answer_example(before, order, example)
        original.check_import(out, example, already.TOLERANCE if quantized else examples.TOLERANCE, (MIN_OPSET, NEWEST))
    examples.write(example, out)
    signatures.write(signatures.with_sizes(ends, dataset), out)
    already.write(quantized, out)
    write_notes(notes + batch_notes, out)


def order_inputs(model: onnx.ModelProto, order: Sequence[int]) -> None:
    """Put the inputs of the graph in this order, in place."""
    inputs = [onnx.ValueInfoProto.FromString(model.graph.input[number].SerializeToString()) for number in order]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def find_model_file(source: Path) -> Path:
    """Return the path of the only .onnx file in `source`. CrossquantError if there is none, or more than one."""
    paths = [path for path in source.iterdir() if path.suffix.lower() == ".onnx"]
    if len(paths) != 1:
        raise CrossquantError("the model must be one .onnx file")
    return paths[0]


def read_model(path: Path) -> onnx.ModelProto:
    """Read the model at `path`, with the weights that it keeps in other files of its folder.

    CrossquantError if it is no ONNX file, or is truncated or too large, or if such a file isn't in its folder.
    """
    if excess := onnx_size.describe_excess(path.stat().st_size):
        raise CrossquantError(f"{path.name} is too large: {excess}")
    start = path.read_bytes()[:2]
    if start[:1] == PICKLE or start == b"PK":
        raise CrossquantError(f"{path.name} is a PyTorch file, not an ONNX file: opening it could run code")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: get it again ({error})") from error
    if not model.graph.node:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: it has no operators")
    read_external_tensors(model, path)
    return model


def read_external_tensors(model: onnx.ModelProto, path: Path) -> None:
    """Put the weights from other files of the folder into the model, in place.

    CrossquantError if one isn't there, ends too soon or isn't in the folder, or if all are too large for one file.
    """
    tensors = [tensor for tensor in iterate_tensors(model) if is_external(tensor)]
    size = path.stat().st_size
    for tensor in tensors:
        size += find_external_bytes(tensor, path).size
        if excess := onnx_size.describe_excess(size):
            raise CrossquantError(f"{path.name} is too large: {excess}")
    for tensor in tensors:
        tensor.raw_data = find_external_bytes(tensor, path).read()
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


@dataclass(frozen=True)
class ExternalBytes:
    """The place of a tensor's data in another file."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


def find_external_bytes(tensor: onnx.TensorProto, path: Path) -> ExternalBytes:
    """Return where the data of `tensor` are. CrossquantError if that is not within a file of the model's folder."""
    entries = {item.key: item.value for item in tensor.external_data}
    location, folder = entries.get("location", ""), path.parent.resolve()
    own = f"{path.name} keeps weights in '{printable(location, LONGEST_NAME)}'"
    file = folder / location
    if not location or "\0" in location or not file.resolve().is_relative_to(folder):
        raise CrossquantError(f"{own}, outside of its folder: save the model with all of its files in one folder")
    if not file.is_file():
        raise CrossquantError(f"{own}, which is not beside it: give the folder's files together")
    try:
        offset = int(entries.get("offset", 0))
        wanted = int(entries.get("length", file.stat().st_size - offset))
    except ValueError:
        offset, wanted = -1, -1
    if min(offset, wanted) < 0 or offset + wanted > file.stat().st_size:
        raise CrossquantError(f"{own}, which is cut short, or is that of another model: get both again")
    return ExternalBytes(file, offset, wanted)


def describe_quantized(model: onnx.ModelProto) -> list[str]:
    """Return a note on a model that is quantized already; none on any other."""
    operators = quantized_operators(model)
    return [QUANTIZED.format(already.describe(operators))] if operators else []


def iterate_tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Yield all constants of a file: in subgraphs and functions, and sparse ones too."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in [value] if isinstance(value, Message) else value:
                yield from iterate_tensors(item)


def is_external(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def modernize_model(model: onnx.ModelProto, ranks: Sequence[int] = ()) -> Iterator[str]:
    """Update the file in place to what the quantizers can read; yield a note for each change.

    `ranks` are the ranks of the data set's arrays, for inputs without a shape. CrossquantError if the file is not
    valid.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    for item in [
        item for item in model.graph.input if item.name in constants
    ]:  # files before IR 4 list weights there too
        model.graph.input.remove(item)
    model.ir_version = max(model.ir_version, MIN_IR)
    opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
    normalize.normalize_model(model)
    check_value_types(model.graph)
    set_input_ranks(model.graph, ranks)
    try:
        if model.functions:
            model.CopyFrom(inliner.inline_local_functions(model))
        if opset < MIN_OPSET:
            model.CopyFrom(version_converter.convert_version(model, OPSET))
            yield f"the file had opset {opset}: it was converted to {OPSET}"
        yield from state_output_shapes(model)
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError) as error:
        raise CrossquantError(f"the ONNX file is not valid: {first_line(error, 200)}") from error
    normalize.normalize_model(model)
    names = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name or len(names) < len(model.graph.node):  # quantizers exclude layers by name
            node.name = f"{node.op_type}_{number}"
    for graph in normalize.iterate_graphs(model.graph):
        make_names_printable(graph)


def make_names_printable(graph: onnx.GraphProto) -> None:
    """Rename nodes and tensors whose names contain control characters: names are printed in messages and reports."""
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        if printable_name(item.name) != item.name:
            item.name = printable_name(item.name)
    for node in graph.node:
        node.input[:] = map(printable_name, node.input)
        node.output[:] = map(printable_name, node.output)


def printable_name(name: str) -> str:
    """Return `name`, or a printable name with a hash that keeps it unique if it has characters that can't
    be printed.
    """
    if name.isprintable():
        return name
    return tell_apart("".join(letter if letter.isprintable() else "_" for letter in name), name)


def check_value_types(graph: onnx.GraphProto) -> None:
    """Raise CrossquantError for an input or output that is no numeric tensor, or whose name can't be printed."""
    for item in (*graph.input, *graph.output):
        if not item.name.isprintable():
            raise CrossquantError(f"{item.name!a} of the ONNX file has a name that can't be printed: rename it")
        if not item.type.HasField("tensor_type"):
            type_name = (item.type.WhichOneof("value") or "nothing known").removesuffix("_type")
            raise CrossquantError(f"'{item.name}' of the ONNX file is a {type_name}: only tensors can be compared")
        if item.type.tensor_type.elem_type in NON_NUMERIC:
            type_name = onnx.TensorProto.DataType.Name(item.type.tensor_type.elem_type).lower()
            raise CrossquantError(
                f"'{item.name}' of the ONNX file is of type {type_name}: only numbers can be compared"
            )


def set_input_ranks(graph: onnx.GraphProto, ranks: Sequence[int]) -> None:
    """Give each input without a shape one of unknown sizes, with the rank of the data set's array."""
    for position, item in enumerate(graph.input):
        tensor_type = item.type.tensor_type
        if tensor_type.HasField("shape"):
            continue
        if len(ranks) != len(graph.input):
            raise CrossquantError(
                f"input '{item.name}' of the ONNX file has no shape, and the data set doesn't tell it: give it one"
            )
        tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(ranks[position]))


def state_output_shapes(model: onnx.ModelProto) -> Iterator[str]:
    """Set the shapes of outputs that have none, or wrong ones, to those that ONNX infers; yield a note for each change.

    CrossquantError if an output's shape is neither given nor inferred.
    """
    graph = model.graph
    try:
        inferred_graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
        lacking = [item.name for item in graph.output if not item.type.tensor_type.HasField("shape")]
    except onnx.shape_inference.InferenceError as error:
        without_shapes = onnx.ModelProto.FromString(model.SerializeToString())
        del without_shapes.graph.value_info[:]
        for item in without_shapes.graph.output:
            item.type.tensor_type.ClearField("shape")
        try:
            inferred_graph = onnx.shape_inference.infer_shapes(without_shapes, strict_mode=True).graph
        except onnx.shape_inference.InferenceError:
            yield f"ONNX can't infer all shapes of this graph: {first_line(error, 200)}"
            inferred_graph = onnx.shape_inference.infer_shapes(model).graph
            lacking = [item.name for item in graph.output if not item.type.tensor_type.HasField("shape")]
        else:
            lacking = [item.name for item in graph.output]
            del graph.value_info[:]
            yield "the file states other shapes than its operators give: the shapes that ONNX infers are used"
    inferred = {item.name: item for item in inferred_graph.output}
    for item in graph.output:
        if item.name in lacking and inferred[item.name].type.tensor_type.HasField("shape"):
            item.CopyFrom(inferred[item.name])
        elif item.name in lacking:
            raise CrossquantError(f"output '{item.name}' of the ONNX file has no shape, and none can be inferred")


def read_signature(model: onnx.ModelProto) -> Signature:
    """Return the inputs and outputs of the model, and its fixed batch size if it has one."""
    graph = model.graph
    first = graph.input[0].type.tensor_type.shape.dim
    inputs, outputs = tuple(map(describe_tensor, graph.input)), tuple(map(describe_tensor, graph.output))
    return Signature(inputs, outputs, first[0].dim_value or None if first else None)


def describe_tensor(item: onnx.ValueInfoProto) -> Tensor:
    """Return the name, type and shape without the batch. CrossquantError if it is no tensor, or has no axes."""
    tensor_type = item.type.tensor_type
    if not tensor_type.elem_type or not tensor_type.shape.dim:
        raise CrossquantError(f"'{item.name}' of the ONNX file has no batch axis: its first axis must be the samples")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type).name
    return Tensor(item.name, dtype, tuple(dim.dim_value or None for dim in tensor_type.shape.dim[1:]))
