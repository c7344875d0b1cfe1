"""Makes the one float ONNX file that ONNX Runtime, PyTorch and every quantizer start from."""

import contextlib
import shutil
import tempfile
from functools import partial
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from images.onnx.graph import trial_inputs
from images.onnx.graph.normalize import normalize_model
from images.onnx.graph.quantized import quantized_operators
from images.onnx.graph.shape_constants import freeze_shape_inputs, has_subgraph
from images.onnx.session import FILE, build_feed, open_session, read_model, run_session
from shared.artifacts.notes import write_notes
from shared.data import examples
from shared.data import signature as signatures
from shared.data.examples import Example
from shared.errors import CrossquantError
from shared.quantization import already

UNDONE = {"QuantizeLinear", "DequantizeLinear"}  # of constants ONNX Runtime's optimizer makes floats
CONTROL_FLOW = ("If", "Loop", "Scan")
PREPROCESSING = {  # by the tool that fails first: the options that switch off those before it
    "ONNX Runtime's symbolic shape inference": {},
    "ONNX's shape inference": {"skip_symbolic_shape": True},
    "ONNX Runtime's optimizer": {"skip_symbolic_shape": True, "skip_onnx_shape": True},
}


def run(exported: Path, out: Path, *, enabled: bool) -> None:
    """Write `model.onnx`, with BatchNormalization folded into the convolutions, and `example.npz`, samples with its
    answers.

    tf2onnx writes the BatchNormalization of Keras 3 as Mul and Add. A quantizer then rounds the values in between,
    which costs a point of accuracy and doubles the latency. With `enabled` false the graph stays as it was, to show
    that; it also does where the folded graph gives other answers, and where the model is quantized already by
    operators that folding would undo.
    """
    source, target = exported / FILE, out / FILE
    quantized = quantized_operators(read_model(source))
    already.write(already.read(exported) or quantized, out)
    original = examples.read(exported)
    notes = []
    with tempfile.TemporaryDirectory(dir=out) as folder:
        scratch = Path(folder).resolve()
        if original:
            example = trial_inputs.answer_example(partial(run_session, open_session(source, 1)), original)
            notes += compare_with_original(original, example)
        else:
            signature = signatures.load(exported) if (exported / signatures.FILE).exists() else None
            example = trial_inputs.make_example(source, signature, scratch)
        if enabled and UNDONE.isdisjoint(quantized):
            notes += fold_model(source, target, scratch)
            check_inputs(source, target)
            notes += undo_wrong_fold(source, target, example)
        else:
            shutil.copyfile(source, target)
    examples.write(example, out)
    write_notes(notes, out)


def compare_with_original(original: Example, example: Example) -> list[str]:
    """Return a note where ONNX Runtime's answers differ from those of the model that was exported."""
    answers = iter([outputs for _, outputs in example.batches()])
    difference = examples.difference(original, lambda _: next(answers)) if original.outputs and example.outputs else ""
    return [f"ONNX Runtime gives other answers to test samples than the model itself: {difference}"] * bool(difference)


def undo_wrong_fold(source: Path, target: Path, example: Example) -> list[str]:
    """Replace the folded graph by the one that was exported where its answers differ; return a note of that."""
    session = open_session(target, 1)
    difference = examples.difference(example, lambda batch: tuple(session.run(None, build_feed(session, batch))))
    if not difference:
        return []
    shutil.copyfile(source, target)
    return [f"the folded graph gives other answers ({difference}): it is used as it was exported"]


def fold_model(source: Path, target: Path, scratch: Path) -> list[str]:
    """Fold the graph in `source` into `target`; return notes for the user.

    ONNX Runtime's preprocessing is tried with ever fewer of its tools, since each of them fails on some operators or
    subgraphs that ONNX Runtime itself can run. CrossquantError if ONNX Runtime can't load the file at all.
    """
    model = onnx.load(source)
    normalize_model(model)
    freeze_shape_inputs(model, scratch)
    onnx.save(model, scratch / FILE)
    open_session(scratch / FILE, 1)
    notes: list[str] = []
    for name, skipped in PREPROCESSING.items():
        try:
            with contextlib.chdir(scratch):  # if it fails, it writes a file into the working directory
                quant_pre_process(scratch / FILE, target.resolve(), **skipped)
            folded = onnx.load(target)
            normalize_model(folded)
            onnx.checker.check_model(folded, full_check="skip_onnx_shape" not in skipped)
        except Exception as error:  # noqa: BLE001 - whatever the tools raise, the next round does without them
            message = (str(error).strip().splitlines() or [""])[0][:200]
            print(f"{name}: {type(error).__name__}: {message}")
        else:
            onnx.save(folded, target)
            return notes
        if kinds := sorted({node.op_type for node in model.graph.node if has_subgraph(node)} & set(CONTROL_FLOW)):
            notes = [f"{name} failed on a graph with {', '.join(kinds)}: shapes are inferred without it"]
        else:
            notes = [f"{name} failed: shapes are inferred without it"]
    shutil.copyfile(scratch / FILE, target)
    return ["ONNX Runtime's tools can't preprocess this graph: it is used as it was exported"]


def check_inputs(before: Path, after: Path) -> None:
    """Raise CrossquantError if ONNX Runtime can't load the folded file, or its inputs aren't the model's."""
    expected = [item.name for item in onnx.load(before).graph.input]
    actual = [item.name for item in open_session(after, 1).get_inputs()]
    if expected != actual:
        raise CrossquantError(f"folding changed the model's inputs from {expected} to {actual}")
