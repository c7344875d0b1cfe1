"""How many samples a file takes at once: tried, since what a file says of its batch and what it takes can differ."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from images.onnx.graph import trial_inputs
from images.onnx.session import REFUSALS, feed, open_session
from shared.data.examples import FIRST, SECOND
from shared.data.samples import Batch
from shared.data.signature import Signature
from shared.errors import CrossquantError

FIXED = "the model takes batches of {} alone"
MADE_DYNAMIC = "the file was saved for a batch of {}: it takes any number of samples now, and answers each as before"
MIXED = "an answer depends on the other samples of its batch: output {} by up to {:.2g}, where the largest is {:.2g}"
CLOSE = 1e-4  # of the largest answer: other batches are computed by other kernels
LIKELY = (1, 2, 4, 8, 16, 32)  # batches that a file may have been saved for without saying so
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")


def dynamic(
    model: onnx.ModelProto, scratch: Path, given: Batch = (), signature: Signature | None = None
) -> tuple[onnx.ModelProto, list[str]]:
    """The model for any batch, if it allows that; else for the one that it takes. With it what is to be said.

    `given` are samples to try it on; random ones where there are none. CrossquantError where it takes no batch at all,
    and where it doesn't answer the same samples in the same way twice.
    """
    sizes = {item.type.tensor_type.shape.dim[0].dim_value for item in model.graph.input if rank(item)}
    trial = Trial(scratch, given or samples(model, signature, scratch))
    if not sizes - {0}:
        return of_open_batch(model, trial)
    if len(sizes) == 1:
        (batch,) = sizes
        changed = opened(model, batch)
        if trial.same(model, changed, batch):
            return changed, [MADE_DYNAMIC.format(batch)]
    return model, [FIXED.format(max(sizes))]


def of_open_batch(model: onnx.ModelProto, trial: "Trial") -> tuple[onnx.ModelProto, list[str]]:
    """For a file that says that it takes any number of samples."""
    if trial.follows(model):
        trial.check_repeats(model)
        said = trial.mixed(model)
        return model, [said] if said else []
    for batch in candidates(model.graph):
        if not trial.takes(model, batch):
            continue
        changed = opened(model, batch)
        if trial.same(model, changed, batch):
            return changed, [MADE_DYNAMIC.format(batch)]
        return fixed(model, batch), [FIXED.format(batch)]
    raise CrossquantError(trial.refusal(model))


def candidates(graph: onnx.GraphProto) -> Iterator[int]:
    """Batches that the file may have been saved for: what its Reshape targets begin with, then the usual ones."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    targets = [
        constants[node.input[1]] for node in graph.node if node.op_type == "Reshape" and node.input[1] in constants
    ]
    first = [int(values[0]) for values in map(numpy_helper.to_array, targets) if values.size]
    yield from dict.fromkeys((*(size for size in first if 0 < size <= max(LIKELY)), *LIKELY))


def rank(item: onnx.ValueInfoProto) -> int:
    return len(item.type.tensor_type.shape.dim)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    copy: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
    return copy


def opened(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy with the first axis of inputs and outputs unknown, and no Reshape that says what it is."""
    copy = copy_of(model)
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


def fixed(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy whose inputs and outputs say that they are for this batch."""
    copy = copy_of(model)
    for item in (*copy.graph.input, *copy.graph.output):
        if rank(item):
            item.type.tensor_type.shape.dim[0].dim_value = batch
    del copy.graph.value_info[:]
    return copy


def samples(model: onnx.ModelProto, signature: Signature | None, scratch: Path) -> Batch:
    found = trial_inputs.shapes(model, signature, scratch)
    return trial_inputs.random_batch(model.graph.input, found.inputs, 2 * max(LIKELY))


class Trial:
    """Runs a model on some samples, and compares what comes of it."""

    def __init__(self, scratch: Path, given: Batch) -> None:
        self.scratch, self.given = scratch, given

    def taken(self, start: int, count: int) -> Batch:
        """So many of the samples, from the first again where there are too few."""
        return tuple(np.take(array, range(start, start + count), axis=0, mode="wrap") for array in self.given)

    def answers(self, model: onnx.ModelProto, *batches: Batch) -> list[Batch]:
        path = self.scratch / "trial.onnx"
        try:
            onnx.save(model, path)
            session = open_session(path, 1)
            return [tuple(session.run(None, feed(session, batch))) for batch in batches]
        finally:
            path.unlink(missing_ok=True)

    def takes(self, model: onnx.ModelProto, *counts: int) -> bool:
        """Does it answer batches of these sizes, each sample with one row of each output?"""
        try:
            found = self.answers(model, *(self.taken(0, count) for count in counts))
        except REFUSALS:
            return False
        return all(rows(answers, count) for answers, count in zip(found, counts, strict=True))

    def follows(self, model: onnx.ModelProto) -> bool:
        return self.takes(model, FIRST, SECOND)

    def same(self, model: onnx.ModelProto, changed: onnx.ModelProto, batch: int) -> bool:
        """Does the changed model answer two batches at once as the model does one after the other?"""
        try:
            onnx.checker.check_model(changed, full_check=True)
            apart = self.answers(model, self.taken(0, batch), self.taken(batch, batch))
            [together] = self.answers(changed, self.taken(0, 2 * batch))
        except (*REFUSALS, CrossquantError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            return False
        pairs = zip(together, zip(*apart, strict=True), strict=True)
        return all(close(found, np.concatenate(parts)) for found, parts in pairs if parts[0].ndim)

    def mixed(self, model: onnx.ModelProto) -> str:
        """Which output depends on the batch that a sample is in, and by how much."""
        whole, first, second = self.answers(
            model, self.taken(0, FIRST + SECOND), self.taken(0, FIRST), self.taken(FIRST, SECOND)
        )
        for number, (found, *parts) in enumerate(zip(whole, first, second, strict=True)):
            wanted = np.concatenate(parts)
            if found.dtype.kind == "f" and found.shape == wanted.shape and not close(found, wanted):
                return MIXED.format(number, np.abs(found - wanted).max(), np.abs(wanted).max())
        return ""

    def check_repeats(self, model: onnx.ModelProto) -> None:
        """CrossquantError for a model that answers the same samples otherwise each time."""
        once, again = self.answers(model, self.taken(0, FIRST), self.taken(0, FIRST))
        if all(close(*pair) for pair in zip(once, again, strict=True)):
            return
        found = next((f" ({node.op_type} '{node.name}')" for node in model.graph.node if random(node)), "")
        raise CrossquantError(
            f"the model answers the same samples otherwise each time{found}: export it for inference, not for training"
        )

    def refusal(self, model: onnx.ModelProto) -> str:
        """Why the model takes no batch, in one line."""
        try:
            [found] = self.answers(model, self.taken(0, FIRST))
        except REFUSALS as error:
            return f"ONNX Runtime can't run the model on {FIRST} samples: {str(error).strip().splitlines()[0][:300]}"
        wrong = next((array.shape for array in found if array.shape[:1] != (FIRST,)), ())
        return f"the model answers {wrong} to {FIRST} samples: its first axis must be the samples"


def rows(answers: Batch, count: int) -> bool:
    return all(isinstance(array, np.ndarray) and array.shape[:1] == (count,) for array in answers)


def random(node: onnx.NodeProto) -> bool:
    """May it answer otherwise each time? Dropout does where it is told that it is in training."""
    return node.op_type in RANDOM or (node.op_type == "Dropout" and len(node.input) > 2 and bool(node.input[2]))


def close(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal but for rounding; what is no number is compared as it is. NaN is like NaN."""
    if found.shape != wanted.shape or found.dtype.kind not in "fiub":
        return found.shape == wanted.shape and bool((found == wanted).all())
    if not wanted.size:
        return True
    one, other = found.astype(np.float64), wanted.astype(np.float64)
    sound = np.isfinite(other)
    if not (np.isfinite(one) == sound).all():
        return False
    largest = float(np.abs(other[sound]).max(initial=0.0))
    return bool(np.abs(one[sound] - other[sound]).max(initial=0.0) <= CLOSE * max(largest, 1e-12))
