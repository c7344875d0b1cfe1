"""The one float ONNX file that ONNX Runtime, PyTorch and every quantizer start from."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from images.onnx.session import FILE, open_session, read
from images.onnx.targets import constant_targets
from shared.errors import CrossquantError


def run(exported: Path, out: Path, *, enabled: bool) -> None:
    """Write `model.onnx`, BatchNormalization folded into the convolutions.

    tf2onnx leaves BatchNormalization of Keras 3 as Mul and Add: a quantizer then rounds the values between, which costs
    a point of accuracy and doubles the latency. With `enabled` false the graph stays as it was, to show just that.
    """
    target = out / FILE
    read(exported / FILE)
    if enabled:
        fold(exported / FILE, target)
        onnx.checker.check_model(onnx.load(target), full_check=True)
    else:
        shutil.copyfile(exported / FILE, target)
    check_inputs(exported / FILE, target)


def fold(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        scratch, written = Path(folder).resolve(), target.resolve()
        model = onnx.load(source)
        constant_targets(model, scratch)
        onnx.save(model, scratch / FILE)
        try:
            with contextlib.chdir(scratch):  # where it gives up, it writes a file into the folder that it is in
                quant_pre_process(scratch / FILE, written, skip_symbolic_shape=False)
        except Exception as error:
            if "symbolic shape" not in str(error):
                raise
            print(f"{error}: shapes are inferred by ONNX alone")
            quant_pre_process(scratch / FILE, written, skip_symbolic_shape=True)


def check_inputs(before: Path, after: Path) -> None:
    """ONNX Runtime loads the file, and it asks for what the model takes and nothing else."""
    wanted = [item.name for item in onnx.load(before).graph.input]
    found = [item.name for item in open_session(after, 1).get_inputs()]
    if wanted != found:
        raise CrossquantError(f"folding changed the model's inputs from {wanted} to {found}")
