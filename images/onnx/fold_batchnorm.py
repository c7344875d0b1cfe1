"""The one float ONNX file that ONNX Runtime, PyTorch and every quantizer start from."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from images.onnx.graph import trial_inputs
from images.onnx.graph.normalize import tidy
from images.onnx.graph.shape_constants import constant_targets
from images.onnx.graph.shape_constants import inside as holds_graph
from images.onnx.session import FILE, feed, open_session, read
from shared.data import examples
from shared.data import signature as signatures
from shared.data.examples import Example
from shared.errors import CrossquantError

NOTES = "notes.json"
INSIDE = ("If", "Loop", "Scan")
WAYS = {  # by what gives up: what ONNX Runtime is asked to do without
    "ONNX Runtime's symbolic shape inference": {},
    "ONNX's shape inference": {"skip_symbolic_shape": True},
    "ONNX Runtime's optimizer": {"skip_symbolic_shape": True, "skip_onnx_shape": True},
}


def run(exported: Path, out: Path, *, enabled: bool) -> None:
    """Write `model.onnx`, BatchNormalization folded into the convolutions, and `example.npz`, what it answers.

    tf2onnx leaves BatchNormalization of Keras 3 as Mul and Add: a quantizer then rounds the values between, which costs
    a point of accuracy and doubles the latency. With `enabled` false the graph stays as it was, to show just that.
    """
    target = out / FILE
    read(exported / FILE)
    notes = []
    with tempfile.TemporaryDirectory(dir=out) as folder:
        scratch = Path(folder).resolve()
        if enabled:
            notes = fold(exported / FILE, target, scratch)
        else:
            shutil.copyfile(exported / FILE, target)
        check_inputs(exported / FILE, target)
        known = signatures.load(exported) if (exported / signatures.FILE).exists() else None
        asked = trial_inputs.example(exported / FILE, known, scratch)
    check_answers(asked, target)
    examples.write(asked, out)
    if notes:
        (out / NOTES).write_text(json.dumps(notes))


def fold(source: Path, target: Path, scratch: Path) -> list[str]:
    """What is to be said of it. CrossquantError where ONNX Runtime can't even load the file.

    The next way is taken where a tool gives up: each of them stops at operators, or at graphs inside of operators, that
    ONNX Runtime itself runs.
    """
    model = onnx.load(source)
    tidy(model)
    constant_targets(model, scratch)
    onnx.save(model, scratch / FILE)
    open_session(scratch / FILE, 1)
    notes: list[str] = []
    for name, skipped in WAYS.items():
        try:
            with contextlib.chdir(scratch):  # where it gives up, it writes a file into the folder that it is in
                quant_pre_process(scratch / FILE, target.resolve(), **skipped)
            folded = onnx.load(target)
            tidy(folded)
            onnx.checker.check_model(folded, full_check="skip_onnx_shape" not in skipped)
        except Exception as error:  # noqa: BLE001 - whatever they raise, the next way does without them
            said = (str(error).strip().splitlines() or [""])[0][:200]
            print(f"{name}: {type(error).__name__}: {said}")
        else:
            onnx.save(folded, target)
            return notes
        if inside := sorted({node.op_type for node in model.graph.node if holds_graph(node)} & set(INSIDE)):
            notes = [f"{name} gave up at a graph with {', '.join(inside)}: shapes are inferred without it"]
        else:
            notes = [f"{name} gave up: shapes are inferred without it"]
    shutil.copyfile(scratch / FILE, target)
    return ["ONNX Runtime's tools can't prepare this graph: it is taken as it was exported"]


def check_answers(asked: Example, folded: Path) -> None:
    """CrossquantError where the folded file answers otherwise than the one that it was made of."""
    session = open_session(folded, 1)
    said = examples.difference(asked, lambda batch: tuple(session.run(None, feed(session, batch))))
    if said:
        raise CrossquantError(
            f"the folded graph answers otherwise than the exported one: {said}; set fold.enabled: false"
        )


def check_inputs(before: Path, after: Path) -> None:
    """ONNX Runtime loads the file, and it asks for what the model takes and nothing else."""
    wanted = [item.name for item in onnx.load(before).graph.input]
    found = [item.name for item in open_session(after, 1).get_inputs()]
    if wanted != found:
        raise CrossquantError(f"folding changed the model's inputs from {wanted} to {found}")
