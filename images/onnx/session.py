"""An ONNX file as a callable, by ONNX Runtime on the CPU."""

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

FILE = "model.onnx"
TYPES: dict[str, np.dtype[Any]] = {  # what ONNX Runtime calls the types of inputs
    **{f"tensor({name})": np.dtype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")},
    **{"tensor(uint64)": np.dtype("uint64"), "tensor(bool)": np.dtype("bool"), "tensor(float16)": np.dtype("float16")},
    **{"tensor(float)": np.dtype("float32"), "tensor(double)": np.dtype("float64")},
}
PATIENCE = 2.0  # seconds
REFUSALS = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
)


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads; ONNX Runtime itself would take every core of the host."""
    session = open_session(variant / FILE, thread_count)
    fixed = next((item.shape[0] for item in session.get_inputs() if item.shape and isinstance(item.shape[0], int)), 0)

    def answer(batch: Batch) -> Batch:
        return run(session, batch)

    return in_batches_of(fixed, answer) if fixed else answer


def run(session: onnxruntime.InferenceSession, batch: Batch) -> Batch:
    """The answers to a batch. CrossquantError, in ONNX Runtime's words, where it can't run the model on it."""
    fed = feed(session, batch)
    try:
        return tuple(session.run(None, fed))
    except REFUSALS as error:
        first = str(error).strip().splitlines()[0][:300]
        raise CrossquantError(f"ONNX Runtime can't run the model on {len(batch[0])} samples: {first}") from error


def batch_of(graph: onnx.GraphProto) -> int:
    """The only number of samples that the graph takes; 0 where it takes any."""
    shapes = [item.type.tensor_type.shape.dim for item in graph.input]
    return next((dims[0].dim_value for dims in shapes if dims and dims[0].dim_value), 0)


def feed(session: onnxruntime.InferenceSession, batch: Batch, **further: Array) -> dict[str, Array]:
    """By the names of the inputs: those of the model in their order, and `further` ones by their own.

    Each array in the type that the model takes. CrossquantError where the batch has not as many arrays as the model has
    inputs.
    """
    inputs = [item for item in session.get_inputs() if item.name not in further]
    if len(inputs) != len(batch):
        names = ", ".join(item.name for item in inputs)
        raise CrossquantError(f"the model has {len(inputs)} inputs ({names}), the data set has {len(batch)}")
    pairs = zip(inputs, batch, strict=True)
    return {item.name: array.astype(TYPES.get(item.type, array.dtype), copy=False) for item, array in pairs} | further


def open_session(path: Path, thread_count: int, *, observing: bool = False) -> onnxruntime.InferenceSession:
    """`observing` is for a graph whose tensors are all kept until the end of a call: that takes half without ONNX
    Runtime's own store of memory, which grows by doubling.
    """
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = not observing
    options.intra_op_num_threads = thread_count
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    before = threads.alive()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        first = str(error).strip().splitlines()[0]
        raise CrossquantError(f"ONNX Runtime can't load {path.name}: {first}") from error
    # The calling thread works too: a pool of n threads starts n - 1. Those of an earlier session may end meanwhile.
    threads.check("ONNX Runtime", thread_count, settled(before, thread_count - 1) + 1)
    return session


def settled(before: set[str], wanted: int) -> int:
    """How many threads there are beyond `before`: a pool's stay, while one that only helped to load the file ends."""
    deadline = time.monotonic() + PATIENCE
    while (found := len(threads.alive() - before)) > wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def check_loads(path: Path) -> None:
    """Unsupported, in ONNX Runtime's words, for a file that a stage made by its tools and that it can't run."""
    try:
        open_session(path, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error


def read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: {error}") from error
    if not model.graph.node:
        raise CrossquantError(f"{path.name} is no ONNX file, or is cut short: it has no operators")
    return model
