"""A user's own ONNX file as the one that everything starts from, as if tf2onnx had written it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import inliner, version_converter

from images.onnx.graph import dynamic_batch, normalize
from images.onnx.session import FILE, open_session
from shared.data import samples
from shared.data import signature as signatures
from shared.data.signature import Signature, Tensor
from shared.errors import CrossquantError
from shared.text import tell_apart

NOTES = "notes.json"
LEAST_IR, LEAST_OPSET, OPSET = 8, 13, 17  # of what tf2onnx writes; what quantizers need at least; its default
TRIED = 64  # samples, at most, that a file is tried on
PICKLE = b"\x80"
UNLIKE_NUMBERS = (onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)
QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")


def run(source: Path, dataset: Path, out: Path) -> None:
    """Write `model.onnx`, `signature.json` and, if there is anything to say, `notes.json`.

    CrossquantError where it is no model, not one in float, or not one for the data set.
    """
    model = read(find(source))
    ranks = [samples.mapped(path).ndim for path in samples.inputs(dataset)]
    notes = list(modern(model, ranks))
    onnx.save(model, out / FILE)
    open_session(out / FILE, 1)
    signatures.check_fits(signature(model), samples.about(dataset), dataset)
    model, more = dynamic_batch.dynamic(model, out, samples.take(dataset, slice(TRIED)))
    onnx.save(model, out / FILE)
    signatures.write(signatures.with_sizes(signature(model), dataset), out)
    if notes + more:
        (out / NOTES).write_text(json.dumps(notes + more))


def find(source: Path) -> Path:
    found = [path for path in source.iterdir() if path.suffix.lower() == ".onnx"]
    if len(found) != 1:
        raise CrossquantError("the model must be one .onnx file")
    return found[0]


def read(path: Path) -> onnx.ModelProto:
    """The model, whole and valid. Its weights must lie in the file itself."""
    start = path.read_bytes()[:2]
    if start[:1] == PICKLE or start == b"PK":
        raise CrossquantError(f"{path.name} is no ONNX file but one of PyTorch's, which runs code as it is opened")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: get it again ({error})") from error
    if not model.graph.node:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: it has no operators")
    if any(map(external, every_tensor(model))):
        raise CrossquantError(f"{path.name} has its weights in another file: save it with save_as_external_data=False")
    if kinds := {node.op_type for node in model.graph.node} & set(QUANTIZED):
        raise CrossquantError(f"{path.name} is quantized already ({', '.join(sorted(kinds))}): give the float model")
    return model


def every_tensor(message: Message) -> Iterator[onnx.TensorProto]:
    """All constants of a file: of graphs inside of operators, of its functions, sparse ones too."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in [value] if isinstance(value, Message) else value:
                yield from every_tensor(item)


def external(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def modern(model: onnx.ModelProto, ranks: Sequence[int] = ()) -> Iterator[str]:
    """Bring the file up to what the quantizers read, in place; what was done. CrossquantError where it is not valid.

    `ranks` are those of the data set's arrays, for inputs of which the file doesn't say it.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    for item in [item for item in model.graph.input if item.name in constants]:  # as files before IR 4 have them
        model.graph.input.remove(item)
    model.ir_version = max(model.ir_version, LEAST_IR)
    opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
    normalize.tidy(model)
    check_kinds(model.graph)
    rank_inputs(model.graph, ranks)
    try:
        if model.functions:
            model.CopyFrom(inliner.inline_local_functions(model))
        if opset < LEAST_OPSET:
            model.CopyFrom(version_converter.convert_version(model, OPSET))
            yield f"the file had opset {opset}: it was brought to {OPSET}"
        yield from state_shapes(model)
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise CrossquantError(f"the ONNX file is not valid: {first}") from error
    normalize.tidy(model)
    names = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name or len(names) < len(model.graph.node):  # quantizers exclude layers by name
            node.name = f"{node.op_type}_{number}"
    for graph in normalize.graphs(model.graph):
        show_names(graph)


def show_names(graph: onnx.GraphProto) -> None:
    """Names without what a terminal obeys: they come into messages and reports."""
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        if shown(item.name) != item.name:
            item.name = shown(item.name)
    for node in graph.node:
        node.input[:] = map(shown, node.input)
        node.output[:] = map(shown, node.output)


def shown(name: str) -> str:
    """`name` itself where all of it can be shown; else what can be, and a sum by which it differs from others."""
    if name.isprintable():
        return name
    return tell_apart("".join(letter if letter.isprintable() else "_" for letter in name), name)


def check_kinds(graph: onnx.GraphProto) -> None:
    """CrossquantError for what goes in or comes out that is no tensor of numbers, or whose name can't be shown."""
    for item in (*graph.input, *graph.output):
        if not item.name.isprintable():
            raise CrossquantError(f"{item.name!a} of the ONNX file has a name that can't be shown: rename it")
        if not item.type.HasField("tensor_type"):
            kind = (item.type.WhichOneof("value") or "nothing known").removesuffix("_type")
            raise CrossquantError(f"'{item.name}' of the ONNX file is a {kind}: only tensors can be compared")
        if item.type.tensor_type.elem_type in UNLIKE_NUMBERS:
            kind = onnx.TensorProto.DataType.Name(item.type.tensor_type.elem_type).lower()
            raise CrossquantError(f"'{item.name}' of the ONNX file is of type {kind}: only numbers can be compared")


def rank_inputs(graph: onnx.GraphProto, ranks: Sequence[int]) -> None:
    """Give an input without a shape one of unknown sizes, of as many axes as the data set's array has."""
    for place, item in enumerate(graph.input):
        kind = item.type.tensor_type
        if kind.HasField("shape"):
            continue
        if len(ranks) != len(graph.input):
            raise CrossquantError(f"input '{item.name}' of the ONNX file has no shape: only its data say what it takes")
        kind.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(ranks[place]))


def state_shapes(model: onnx.ModelProto) -> Iterator[str]:
    """Outputs with shapes, as ONNX infers them, where the file says none, or others than its operators give."""
    graph = model.graph
    try:
        found = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
        lacking = [item.name for item in graph.output if not item.type.tensor_type.HasField("shape")]
    except onnx.shape_inference.InferenceError as error:
        bare = onnx.ModelProto.FromString(model.SerializeToString())
        del bare.graph.value_info[:]
        for item in bare.graph.output:
            item.type.tensor_type.ClearField("shape")
        try:
            found = onnx.shape_inference.infer_shapes(bare, strict_mode=True).graph
        except onnx.shape_inference.InferenceError:
            first = str(error).strip().splitlines()[0][:200]
            yield f"ONNX can't infer all shapes of this graph: {first}"
            found = onnx.shape_inference.infer_shapes(model).graph
            lacking = [item.name for item in graph.output if not item.type.tensor_type.HasField("shape")]
        else:
            lacking = [item.name for item in graph.output]
            del graph.value_info[:]
            yield "the file says other shapes than its operators give: those that ONNX infers are taken"
    inferred = {item.name: item for item in found.output}
    for item in graph.output:
        if item.name in lacking and inferred[item.name].type.tensor_type.HasField("shape"):
            item.CopyFrom(inferred[item.name])
        elif item.name in lacking:
            raise CrossquantError(f"output '{item.name}' of the ONNX file has no shape, and none can be inferred")


def signature(model: onnx.ModelProto) -> Signature:
    graph = model.graph
    first = graph.input[0].type.tensor_type.shape.dim
    inputs, outputs = tuple(map(described, graph.input)), tuple(map(described, graph.output))
    return Signature(inputs, outputs, first[0].dim_value or None if first else None)


def described(item: onnx.ValueInfoProto) -> Tensor:
    kind = item.type.tensor_type
    if not kind.elem_type or not kind.shape.dim:
        raise CrossquantError(
            f"'{item.name}' of the ONNX file is no tensor with a batch: its first axis must be samples"
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return Tensor(item.name, dtype, tuple(dim.dim_value or None for dim in kind.shape.dim[1:]))
