"""Which operators of a model ONNX Runtime can run and quantize, found by trying it on random samples."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from images.onnx import fold_batchnorm, import_model, quantize
from images.onnx.graph import dynamic_batch, trial_inputs
from images.onnx.quantize import calibrate, coverage
from images.onnx.quantize.recipe import QUANTIZABLE, Recipe
from images.onnx.session import FILE, open_session
from shared import compatibility
from shared.compatibility import Compatibility, FrameworkSupport, count_names
from shared.data import signature
from shared.errors import CrossquantError
from shared.quantization import already
from shared.text import first_line

GUESSED = "sizes that the model leaves open were tried as {}: only your data tell what they are"
LARGEST_GUESS = max(trial_inputs.GUESSED_SIZES)
NONE_RUNS = f"the model leaves sizes open and takes none of those that were tried (1 to {LARGEST_GUESS}, all equal)"
FLOAT, QUANTIZED = "ONNX Runtime", "ONNX Runtime, 8 bits"


def run(source: Path, out: Path) -> None:
    """Write `compatibility.json` and, if ONNX Runtime can load the model, the folded `model.onnx`.

    `source` is the output of the keras image's stage `describe`, or the folder of the user's own .onnx file.
    """
    described = (source / compatibility.FILE).exists()
    if described and not (source / FILE).exists():
        compatibility.write(Compatibility(), out)  # tf2onnx refused it
        return
    with TemporaryDirectory() as scratch:
        path = source / FILE if described else import_user_model(source, Path(scratch))
        compatibility.write(inspect_model(path, described, out), out)


def import_user_model(source: Path, scratch: Path) -> Path:
    """Import the user's file as the stage `import_model` does; the notes are kept in the file's metadata."""
    model = import_model.read_model(import_model.find_model_file(source))
    notes = [*import_model.modernize_model(model), *import_model.describe_quantized(model)]
    batch_notes: list[str] = []
    if trial_inputs.choose_shapes(model, None, scratch).runs:
        try:
            model, batch_notes = dynamic_batch.make_batch_dynamic(model, scratch)
        except CrossquantError as error:  # a conversion step that needs a batch reports it too
            batch_notes = [str(error)]
    del model.metadata_props[:]  # the user's own, such as an author
    model.metadata_props.extend(onnx.StringStringEntryProto(key=line) for line in notes + batch_notes)
    onnx.save(model, scratch / FILE)
    return scratch / FILE


def inspect_model(path: Path, described: bool, out: Path) -> Compatibility:
    """Try the model in float and quantized, and write the folded graph to `out`.

    `described` says that the Keras image has counted parameters and layers.
    """
    model = onnx.load(path)
    with TemporaryDirectory() as scratch:
        sizes = trial_inputs.choose_shapes(model, None, Path(scratch))
    tensors = import_model.read_signature(model)
    pairs = zip(tensors.inputs, sizes.inputs, strict=True)
    tensors = replace(tensors, inputs=tuple(replace(tensor, seen=shape) for tensor, shape in pairs))
    guessed = (GUESSED.format(sizes.guess) if sizes.runs else NONE_RUNS,) if sizes.guess else ()
    float_step = try_float(path, out)
    support = (float_step, try_quantization(out / FILE, tensors)) if float_step.all else (float_step,)
    graph = onnx.load(out / FILE).graph if float_step.all else model.graph
    operators = count_names(node.op_type for node in graph.node)
    if described:
        return Compatibility(signature=tensors, operators=operators, support=support, notes=guessed)
    weights = sum(int(onnx.numpy_helper.to_array(tensor).size) for tensor in model.graph.initializer)
    notes = tuple(item.key for item in model.metadata_props)
    return Compatibility(tensors, weights, path.stat().st_size, {}, operators, support, notes + guessed)


def try_float(path: Path, out: Path) -> FrameworkSupport:
    """Load the file as it is and fold it; the folded file stays in `out`, for the quantizers and PyTorch."""
    try:
        open_session(path, 1)
        fold_batchnorm.run(path.parent, out, enabled=True)
    except Exception as error:  # noqa: BLE001 - whatever ONNX Runtime and its tools raise is the result
        return FrameworkSupport(FLOAT, reason=first_line(error, 300))
    return FrameworkSupport(FLOAT, all=True)


def try_quantization(folded: Path, tensors: signature.Signature) -> FrameworkSupport:
    """Quantize the folded file, and count the nodes that read 8-bit values."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        try:
            already.refuse(folded.parent)
            compatibility.write_random_samples(tensors, scratch)
            ranges = calibrate.compute_ranges(folded, scratch, "minmax", 99.99, scratch)
            quantize.write_quantized(folded, ranges, Recipe("uint8", "int8", per_channel=True), (), scratch / FILE)
            open_session(scratch / FILE, 1)
        except Exception as error:  # noqa: BLE001 - as above
            return FrameworkSupport(QUANTIZED, reason=first_line(error, 300))
        return FrameworkSupport(QUANTIZED, carried=count_quantized(onnx.load(scratch / FILE).graph))


def count_quantized(graph: onnx.GraphProto) -> dict[str, int]:
    """Count, by op type, the quantizable nodes that read 8-bit values: both operands of products, one of the others."""
    dequantized = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    operands = dict.fromkeys(coverage.COMPUTING, 2)
    quantizable = [node for node in graph.node if node.op_type in QUANTIZABLE]
    return count_names(
        node.op_type for node in quantizable if set(node.input[: operands.get(node.op_type, 1)]) <= dequantized
    )
