"""Any number of samples for a file that was saved for one: tried, and kept if every sample is answered as before."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from images.onnx.session import REFUSALS, open_session
from shared.errors import CrossquantError
from shared.samples import Batch

FIXED = "the model takes batches of {} alone"
MADE_DYNAMIC = "the file was saved for a batch of {}: it takes any number of samples now, and answers each as before"
OPEN = 16  # for a size that the file leaves open: a layer may need more than one
CLOSE = 1e-4  # of the largest answer: other batches are computed by other kernels


def dynamic(model: onnx.ModelProto, scratch: Path) -> tuple[onnx.ModelProto, list[str]]:
    """The model for any batch, if it allows that; else as it is. With it what is to be said."""
    sizes = {item.type.tensor_type.shape.dim[0].dim_value for item in model.graph.input if rank(item)}
    if not sizes - {0}:
        return model, []
    if len(sizes) == 1:
        (batch,) = sizes
        changed = opened(model, batch)
        if same(model, changed, batch, scratch):
            return changed, [MADE_DYNAMIC.format(batch)]
    return model, [FIXED.format(max(sizes))]


def rank(item: onnx.ValueInfoProto) -> int:
    return len(item.type.tensor_type.shape.dim)


def opened(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy with the first axis of inputs and outputs unknown, and no Reshape that says what it is."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    graph = copy.graph
    for item in (*graph.input, *graph.output):
        if rank(item) and item.type.tensor_type.shape.dim[0].dim_value == batch:
            item.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for number, node in enumerate(graph.node):
        if node.op_type == "Reshape" and node.input[1] in constants:
            target = list(numpy_helper.to_array(constants[node.input[1]]))
            if target and target[0] == batch:
                target[0] = 0 if -1 in target else -1
                name = f"{node.output[0]}_target_{number}"
                graph.initializer.append(numpy_helper.from_array(np.array(target, np.int64), name))
                node.input[1] = name
    return copy


def same(model: onnx.ModelProto, changed: onnx.ModelProto, batch: int, scratch: Path) -> bool:
    """Does the changed model answer two batches at once as the model does one after the other?"""
    first, second = example(model, batch, 0), example(model, batch, 1)
    both = tuple(np.concatenate(pair) for pair in zip(first, second, strict=True))
    try:
        onnx.checker.check_model(changed, full_check=True)
        apart = [answers(model, arrays, scratch) for arrays in (first, second)]
        together = answers(changed, both, scratch)
    except (*REFUSALS, CrossquantError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    pairs = zip(together, zip(*apart, strict=True), strict=True)
    return all(close(found, np.concatenate(parts)) for found, parts in pairs if parts[0].ndim)


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    largest = float(np.abs(wanted).max()) if wanted.size else 0.0
    return found.shape == wanted.shape and bool(np.abs(found - wanted).max() <= CLOSE * max(largest, 1e-12))


def example(model: onnx.ModelProto, batch: int, seed: int) -> Batch:
    """Small random values, whole numbers where the model takes those."""
    random = np.random.default_rng(seed)
    found = []
    for item in model.graph.input:
        kind = item.type.tensor_type
        shape = [batch, *(dim.dim_value or OPEN for dim in kind.shape.dim[1:])]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        whole = not np.issubdtype(dtype, np.floating)
        found.append((random.integers(0, 2, shape) if whole else random.random(shape)).astype(dtype))
    return tuple(found)


def answers(model: onnx.ModelProto, arrays: Batch, scratch: Path) -> Batch:
    path = scratch / "trial.onnx"
    try:
        onnx.save(model, path)
        session = open_session(path, 1)
        names = [item.name for item in session.get_inputs()]
        return tuple(session.run(None, dict(zip(names, arrays, strict=True))))
    finally:
        path.unlink(missing_ok=True)
