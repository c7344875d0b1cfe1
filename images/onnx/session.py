"""Runs ONNX files with ONNX Runtime on the CPU."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnxruntime.capi import onnxruntime_pybind11_state as state

from shared.data.samples import Array, Batch
from shared.errors import CrossquantError, Unsupported
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.runner import threads
from shared.text import first_line

FILE = "model.onnx"
INPUT_TYPES: dict[str, np.dtype[Any]] = {  # by ONNX Runtime's name of an input's type
    **{f"tensor({name})": np.dtype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")},
    **{"tensor(uint64)": np.dtype("uint64"), "tensor(bool)": np.dtype("bool"), "tensor(float16)": np.dtype("float16")},
    **{"tensor(float)": np.dtype("float32"), "tensor(double)": np.dtype("float64")},
}
SETTLE_SECONDS = 2.0  # seconds to wait for threads that are about to end
RUNTIME_ERRORS = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
)


def load(variant: Path, thread_count: int) -> Model:
    """Load the model in `variant` as a callable that uses `thread_count` threads.

    The number of threads is always given: ONNX Runtime's default is every core of the host.
    """
    return as_model(open_session(variant / FILE, thread_count))


def as_model(session: onnxruntime.InferenceSession) -> Model:
    """Return the session as a callable that takes any number of samples, also where the model has a fixed batch."""
    fixed = next((item.shape[0] for item in session.get_inputs() if item.shape and isinstance(item.shape[0], int)), 0)

    def answer(batch: Batch) -> Batch:
        return run_session(session, batch)

    return in_batches_of(fixed, answer) if fixed else answer


def run_session(session: onnxruntime.InferenceSession, batch: Batch) -> Batch:
    """Return the model's outputs for a batch, one array per output.

    CrossquantError, with ONNX Runtime's message, if it can't run the model on the batch.
    """
    feed = build_feed(session, batch)
    try:
        return tuple(session.run(None, feed))
    except RUNTIME_ERRORS as error:
        message = f"ONNX Runtime can't run the model on {len(batch[0])} samples: {first_line(error, 300)}"
        raise CrossquantError(message) from error


def fixed_batch_size(graph: onnx.GraphProto) -> int:
    """Return the fixed batch size of the graph's inputs, or 0 if it takes any number of samples."""
    shapes = [item.type.tensor_type.shape.dim for item in graph.input]
    return next((dims[0].dim_value for dims in shapes if dims and dims[0].dim_value), 0)


def build_feed(session: onnxruntime.InferenceSession, batch: Batch, **further: Array) -> dict[str, Array]:
    """Map the session's input names to arrays: the model's inputs in order, then `further` ones by name.

    Each array is cast to the type that its input takes. CrossquantError if the batch has more or fewer arrays than the
    model has inputs.
    """
    inputs = [item for item in session.get_inputs() if item.name not in further]
    if len(inputs) != len(batch):
        names = ", ".join(item.name for item in inputs)
        raise CrossquantError(f"the model has {len(inputs)} inputs ({names}), the data set has {len(batch)}")
    pairs = zip(inputs, batch, strict=True)
    return {
        item.name: array.astype(INPUT_TYPES.get(item.type, array.dtype), copy=False) for item, array in pairs
    } | further


def open_session(path: Path, thread_count: int, *, low_memory: bool = False) -> onnxruntime.InferenceSession:
    """Open an ONNX Runtime session for the file at `path` on `thread_count` threads.

    Set `low_memory` for a graph that outputs all of its tensors. ONNX Runtime's memory arena grows by doubling; without
    it such a graph needs half the memory.

    CrossquantError if ONNX Runtime can't load the file, or doesn't use the given number of threads.
    """
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = not low_memory
    options.intra_op_num_threads = thread_count
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    before = threads.alive()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except RUNTIME_ERRORS as error:
        raise CrossquantError(f"ONNX Runtime can't load {path.name}: {first_line(error)}") from error
    # The calling thread works too, so a pool of n threads starts n - 1. Threads of an earlier session may still end.
    threads.check("ONNX Runtime", thread_count, count_new_threads(before, thread_count - 1) + 1)
    return session


def count_new_threads(before: set[str], expected: int) -> int:
    """Wait until at most `expected` threads were added to `before`, and return how many there are.

    The threads of a pool stay; a thread that only helped to load the file ends soon.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while (count := len(threads.alive() - before)) > expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return count


def check_loads(path: Path) -> None:
    """Raise Unsupported, with ONNX Runtime's message, if it can't load a file that a stage has written."""
    try:
        open_session(path, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file. CrossquantError if it is no ONNX file, is truncated, or has no operators."""
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: {error}") from error
    if not model.graph.node:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: it has no operators")
    return model
