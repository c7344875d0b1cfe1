"""An ONNX file as a callable, by ONNX Runtime on the CPU."""

from pathlib import Path

import onnxruntime

from shared import threads
from shared.errors import CrossquantError
from shared.predictions import Model

FILE = "model.onnx"


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads; ONNX Runtime itself would take every core of the host."""
    session = open_session(variant / FILE, thread_count)
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def open_session(path: Path, thread_count: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    before = threads.running()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        raise CrossquantError(f"ONNX Runtime can't load {path.name}: {error}") from error
    # The calling thread works too: a pool of n threads starts n - 1.
    threads.check("ONNX Runtime", thread_count, threads.running() - before + 1)
    return session
