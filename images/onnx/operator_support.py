"""Which operators of a model ONNX Runtime runs, and which of them it quantizes: tried, on random samples."""

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
from shared.compatibility import Inspection, Leg, counted
from shared.data import signature
from shared.errors import CrossquantError

GUESSED = "sizes that the model leaves open are tried with {}: only your data say what they are"
NONE_RUNS = (
    f"the model leaves sizes open and takes none of those that were tried (1 to {max(trial_inputs.SIZES)}, all alike)"
)
FLOAT, QUANTIZED = "ONNX Runtime", "ONNX Runtime, 8 bits"


def run(source: Path, out: Path) -> None:
    """Write `compatibility.json` and, if ONNX Runtime loads it, the folded `model.onnx`.

    `source` is what `describe` left, or the user's own .onnx file.
    """
    described = (source / compatibility.FILE).exists()
    if described and not (source / FILE).exists():
        compatibility.write(Inspection(), out)  # tf2onnx refused it
        return
    with TemporaryDirectory() as scratch:
        path = source / FILE if described else adopted(source, Path(scratch))
        compatibility.write(survey(path, described, out), out)


def adopted(source: Path, scratch: Path) -> Path:
    """The user's own file, as the stage `adopt` would keep it, with what is to be said of it."""
    model = import_model.read(import_model.find(source))
    notes = list(import_model.modern(model))
    more: list[str] = []
    if trial_inputs.shapes(model, None, scratch).runs:
        try:
            model, more = dynamic_batch.dynamic(model, scratch)
        except CrossquantError as error:  # a step of the way says so too, where it matters to it
            more = [str(error)]
    model.metadata_props.extend(onnx.StringStringEntryProto(key=line) for line in notes + more)
    onnx.save(model, scratch / FILE)
    return scratch / FILE


def survey(path: Path, described: bool, out: Path) -> Inspection:
    model = onnx.load(path)
    with TemporaryDirectory() as scratch:
        sizes = trial_inputs.shapes(model, None, Path(scratch))
    found = import_model.signature(model)
    pairs = zip(found.inputs, sizes.inputs, strict=True)
    found = replace(found, inputs=tuple(replace(tensor, seen=shape) for tensor, shape in pairs))
    guessed = (GUESSED.format(sizes.guess) if sizes.runs else NONE_RUNS,) if sizes.guess else ()
    first = ran(path, out)
    legs = (first, quantized(out / FILE, found)) if first.all else (first,)
    graph = onnx.load(out / FILE).graph if first.all else model.graph
    operators = counted(node.op_type for node in graph.node)
    if described:
        return Inspection(signature=found, operators=operators, legs=legs, notes=guessed)
    weights = sum(int(onnx.numpy_helper.to_array(tensor).size) for tensor in model.graph.initializer)
    notes = tuple(item.key for item in model.metadata_props)
    return Inspection(found, weights, path.stat().st_size, {}, operators, legs, notes + guessed)


def ran(path: Path, out: Path) -> Leg:
    """Loaded as it is, and folded: the folded file stays in `out`, for the quantizers and PyTorch."""
    try:
        open_session(path, 1)
        fold_batchnorm.run(path.parent, out, enabled=True)
    except Exception as error:  # noqa: BLE001 - whatever ONNX Runtime and its tools raise is what they make of it
        return Leg(FLOAT, reason=str(error).strip().splitlines()[0][:300])
    return Leg(FLOAT, all=True)


def quantized(folded: Path, found: signature.Signature) -> Leg:
    """By the counts of nodes that read 8-bit values in the quantized file."""
    with TemporaryDirectory() as name:
        scratch = Path(name)
        try:
            compatibility.random_samples(found, scratch)
            ranges = calibrate.ranges(folded, scratch, "minmax", 99.99, scratch)
            quantize.write(folded, ranges, Recipe("uint8", "int8", per_channel=True), (), scratch / FILE)
            open_session(scratch / FILE, 1)
        except Exception as error:  # noqa: BLE001 - as above
            return Leg(QUANTIZED, reason=str(error).strip().splitlines()[0][:300])
        return Leg(QUANTIZED, carried=carried(onnx.load(scratch / FILE).graph))


def carried(graph: onnx.GraphProto) -> dict[str, int]:
    """Nodes that the quantizer knows and that read 8-bit values: those that compute, both operands."""
    restored = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    operands = dict.fromkeys(coverage.COMPUTING, 2)
    known = [node for node in graph.node if node.op_type in QUANTIZABLE]
    return counted(node.op_type for node in known if set(node.input[: operands.get(node.op_type, 1)]) <= restored)
