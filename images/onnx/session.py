"""An ONNX file as a callable, by ONNX Runtime on the CPU."""

import time
from pathlib import Path

import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnxruntime.capi import onnxruntime_pybind11_state as state

from shared import threads
from shared.errors import CrossquantError, Unsupported
from shared.fixed_batch import in_batches_of
from shared.predictions import Model
from shared.samples import Array, Batch

FILE = "model.onnx"
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
        return tuple(session.run(None, feed(session, batch)))

    return in_batches_of(fixed, answer) if fixed else answer


def batch_of(graph: onnx.GraphProto) -> int:
    """The only number of samples that the graph takes; 0 where it takes any."""
    shapes = [item.type.tensor_type.shape.dim for item in graph.input]
    return next((dims[0].dim_value for dims in shapes if dims and dims[0].dim_value), 0)


def feed(session: onnxruntime.InferenceSession, batch: Batch, **further: Array) -> dict[str, Array]:
    """By the names of the inputs: those of the model in their order, and `further` ones by their own.

    CrossquantError where the batch has not as many arrays as the model has inputs.
    """
    names = [item.name for item in session.get_inputs() if item.name not in further]
    if len(names) != len(batch):
        raise CrossquantError(f"the model has {len(names)} inputs ({', '.join(names)}), the data set has {len(batch)}")
    return dict(zip(names, batch, strict=True)) | further


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
