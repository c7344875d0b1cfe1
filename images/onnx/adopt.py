"""A user's own ONNX file as the one that everything starts from, as if tf2onnx had written it."""

import json
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import version_converter

from images.onnx import batching
from images.onnx.session import FILE, open_session
from shared import samples
from shared import signature as signatures
from shared.errors import CrossquantError
from shared.signature import Signature, Tensor

NOTES = "notes.json"
LEAST_IR, LEAST_OPSET, OPSET = 8, 13, 17  # of what tf2onnx writes; what quantizers need at least; its default
PICKLE = b"\x80"
QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")


def run(source: Path, dataset: Path, out: Path) -> None:
    """Write `model.onnx`, `signature.json` and, if there is anything to say, `notes.json`.

    CrossquantError where it is no model, not one in float, or not one for the data set.
    """
    model = read(find(source))
    notes = list(modern(model))
    model, more = batching.dynamic(model, out)
    found = signature(model)
    signatures.check_fits(found, samples.about(dataset), dataset)
    onnx.save(model, out / FILE)
    open_session(out / FILE, 1)
    signatures.write(found, out)
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
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in every_tensor(model)):
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


def modern(model: onnx.ModelProto) -> Iterator[str]:
    """Bring the file up to what the quantizers read, in place; what was done. CrossquantError where it is not valid."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for item in [item for item in model.graph.input if item.name in constants]:  # as files before IR 4 have them
        model.graph.input.remove(item)
    model.ir_version = max(model.ir_version, LEAST_IR)
    opset = max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)
    try:
        if opset < LEAST_OPSET:
            model.CopyFrom(version_converter.convert_version(model, OPSET))
            yield f"the file had opset {opset}: it was brought to {OPSET}"
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise CrossquantError(f"the ONNX file is not valid: {first}") from error
    names = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name or len(names) < len(model.graph.node):  # quantizers exclude layers by name
            node.name = f"{node.op_type}_{number}"


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
