"""Finds the batch sizes that a file takes by running it: what a file declares and what it takes can differ."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from images.onnx.graph import trial_inputs
from images.onnx.session import RUNTIME_ERRORS, build_feed, open_session
from shared.data.examples import FIRST, SECOND
from shared.data.samples import Batch
from shared.data.signature import Signature
from shared.errors import CrossquantError
from shared.text import first_line

FIXED = "the model takes batches of {} alone"
MADE_DYNAMIC = "the file was saved for a batch of {}: it takes any number of samples now, and answers each as before"
MIXED = "an answer depends on the other samples of its batch: output {} by up to {:.2g}, where the largest is {:.2g}"
NOT_SAMPLES = "the first axis of each input must be the samples, and the model states these sizes for it: {}"
TOLERANCE = 1e-4  # of the largest answer: batches of other sizes are computed by other kernels
COMMON_BATCHES = (1, 2, 4, 8, 16, 32)  # batch sizes that a file may have been saved for without declaring it
RANDOM_OPERATORS = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
)


def make_batch_dynamic(
    model: onnx.ModelProto, scratch: Path, samples: Batch = (), signature: Signature | None = None
) -> tuple[onnx.ModelProto, list[str]]:
    """Make the model take any batch if it can, or else the one batch size that it takes; return it with notes for the
    user.

    `given` are samples to try it on; without them random ones are used. CrossquantError if the model runs on no batch,
    or gives different answers to the same samples.
    """
    sizes = {item.type.tensor_type.shape.dim[0].dim_value for item in model.graph.input if count_axes(item)}
    probe = BatchProbe(scratch, samples or random_samples(model, signature, scratch))
    if not sizes - {0}:
        return resolve_open_batch(model, probe)
    if len(sizes) == 1:
        (batch,) = sizes
        changed = open_batch(model, batch)
        if probe.answers_alike(model, changed, batch):
            return changed, [MADE_DYNAMIC.format(batch)]
    elif len(sizes - {0}) > 1 or not probe.keeps_samples_apart(model, max(sizes)):
        raise CrossquantError(NOT_SAMPLES.format(", ".join(map(describe_first_axis, model.graph.input))))
    return model, [FIXED.format(max(sizes))]


def describe_first_axis(item: onnx.ValueInfoProto) -> str:
    """Return the name of an input and the size that it states for its first axis."""
    dimensions = item.type.tensor_type.shape.dim
    return f"{item.name}: {(dimensions[0].dim_value or 'any') if dimensions else 'none'}"


def resolve_open_batch(model: onnx.ModelProto, probe: "BatchProbe") -> tuple[onnx.ModelProto, list[str]]:
    """Do the same for a file that declares an open batch size."""
    if probe.accepts_any_batch(model):
        probe.check_deterministic(model)
        note = probe.describe_mixing(model)
        return model, [note] if note else []
    for batch in candidate_batches(model.graph):
        if not probe.accepts(model, batch):
            continue
        changed = open_batch(model, batch)
        if probe.answers_alike(model, changed, batch):
            return changed, [MADE_DYNAMIC.format(batch)]
        return fix_batch(model, batch), [FIXED.format(batch)]
    raise CrossquantError(probe.explain_refusal(model))


def candidate_batches(graph: onnx.GraphProto) -> Iterator[int]:
    """Yield batch sizes that the file may have been saved for: first sizes of Reshape targets, then common ones."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    targets = [
        constants[node.input[1]] for node in graph.node if node.op_type == "Reshape" and node.input[1] in constants
    ]
    first = [int(values[0]) for values in map(numpy_helper.to_array, targets) if values.size]
    yield from dict.fromkeys((*(size for size in first if 0 < size <= max(COMMON_BATCHES)), *COMMON_BATCHES))


def count_axes(item: onnx.ValueInfoProto) -> int:
    """Return the number of axes."""
    return len(item.type.tensor_type.shape.dim)


def copy_model(model: onnx.ModelProto) -> onnx.ModelProto:
    copy: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
    return copy


def open_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Copy the model with an open first axis of inputs and outputs, and without Reshape targets that fix it."""
    copy = copy_model(model)
    graph = copy.graph
    for item in (*graph.input, *graph.output):
        if count_axes(item) and item.type.tensor_type.shape.dim[0].dim_value == batch:
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


def fix_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Copy the model with `batch` as the first size of all inputs and outputs."""
    copy = copy_model(model)
    for item in (*copy.graph.input, *copy.graph.output):
        if count_axes(item):
            item.type.tensor_type.shape.dim[0].dim_value = batch
    del copy.graph.value_info[:]
    return copy


def random_samples(model: onnx.ModelProto, signature: Signature | None, scratch: Path) -> Batch:
    """Make random samples, enough for two of the largest batches that are tried."""
    chosen = trial_inputs.choose_shapes(model, signature, scratch)
    return trial_inputs.random_batch(model.graph.input, chosen.inputs, 2 * max(COMMON_BATCHES))


class BatchProbe:
    """Runs a model on samples, and compares its answers."""

    def __init__(self, scratch: Path, samples: Batch) -> None:
        self.scratch, self.samples = scratch, samples

    def take(self, start: int, count: int) -> Batch:
        """Take `count` samples from index `start`, beginning again at the first if there are too few."""
        return tuple(np.take(array, range(start, start + count), axis=0, mode="wrap") for array in self.samples)

    def run(self, model: onnx.ModelProto, *batches: Batch) -> list[Batch]:
        """Return the model's answers to each batch. Raises whatever ONNX Runtime raises."""
        path = self.scratch / "trial.onnx"
        try:
            onnx.save(model, path)
            session = open_session(path, 1)
            return [tuple(session.run(None, build_feed(session, batch))) for batch in batches]
        finally:
            path.unlink(missing_ok=True)

    def accepts(self, model: onnx.ModelProto, *counts: int) -> bool:
        """Does the model answer batches of these sizes, with one row per sample in each output?"""
        try:
            outputs = self.run(model, *(self.take(0, count) for count in counts))
        except RUNTIME_ERRORS:
            return False
        return all(has_row_per_sample(answers, count) for answers, count in zip(outputs, counts, strict=True))

    def accepts_any_batch(self, model: onnx.ModelProto) -> bool:
        """Does the model answer two batches of different sizes?"""
        return self.accepts(model, FIRST, SECOND)

    def answers_alike(self, model: onnx.ModelProto, changed: onnx.ModelProto, batch: int) -> bool:
        """Does the changed model answer two batches at once as the model does one after the other?"""
        try:
            onnx.checker.check_model(changed, full_check=True)
            one_by_one = self.run(model, self.take(0, batch), self.take(batch, batch))
            [together] = self.run(changed, self.take(0, 2 * batch))
        except (*RUNTIME_ERRORS, CrossquantError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            return False
        pairs = zip(together, zip(*one_by_one, strict=True), strict=True)
        return all(is_close(array, np.concatenate(arrays)) for array, arrays in pairs if arrays[0].ndim)

    def keeps_samples_apart(self, model: onnx.ModelProto, batch: int) -> bool:
        """Does the model answer a batch of this size, and the same batch the other way round by the same answers?"""
        samples = self.take(0, batch)
        try:
            forward, backward = self.run(model, samples, tuple(array[::-1] for array in samples))
        except (*RUNTIME_ERRORS, CrossquantError):
            return False
        pairs = zip(forward, backward, strict=True)
        return has_row_per_sample(forward, batch) and all(is_close(array[::-1], other) for array, other in pairs)

    def describe_mixing(self, model: onnx.ModelProto) -> str:
        """Say which output of a sample depends on the other samples of its batch, and how much; "" if none does."""
        together, first, second = self.run(
            model, self.take(0, FIRST + SECOND), self.take(0, FIRST), self.take(FIRST, SECOND)
        )
        for number, (output, *arrays) in enumerate(zip(together, first, second, strict=True)):
            expected = np.concatenate(arrays)
            if output.dtype.kind == "f" and output.shape == expected.shape and not is_close(output, expected):
                return MIXED.format(number, np.abs(output - expected).max(), np.abs(expected).max())
        return ""

    def check_deterministic(self, model: onnx.ModelProto) -> None:
        """Raise CrossquantError if the model gives different answers to the same samples."""
        once, again = self.run(model, self.take(0, FIRST), self.take(0, FIRST))
        if all(is_close(*pair) for pair in zip(once, again, strict=True)):
            return
        where = next((f" ({node.op_type} '{node.name}')" for node in model.graph.node if is_random(node)), "")
        raise CrossquantError(
            f"answers to the same samples differ each time{where}: export the model for inference, not training"
        )

    def explain_refusal(self, model: onnx.ModelProto) -> str:
        """Say in one line why the model runs on no batch."""
        try:
            [outputs] = self.run(model, self.take(0, FIRST))
        except RUNTIME_ERRORS as error:
            return f"ONNX Runtime can't run the model on {FIRST} samples: {first_line(error, 300)}"
        shape = next((array.shape for array in outputs if array.shape[:1] != (FIRST,)), ())
        return f"the model answers {shape} to {FIRST} samples: its first axis must be the samples"


def has_row_per_sample(answers: Batch, count: int) -> bool:
    """Has each output one row per sample?"""
    return all(isinstance(array, np.ndarray) and array.shape[:1] == (count,) for array in answers)


def is_random(node: onnx.NodeProto) -> bool:
    """May the node's output differ from call to call? A Dropout's does if it is told that it is in training."""
    return node.op_type in RANDOM_OPERATORS or (
        node.op_type == "Dropout" and len(node.input) > 2 and bool(node.input[2])
    )


def is_close(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Are the arrays equal but for rounding? Those that are not numbers must be equal. NaN equals NaN."""
    if actual.shape != expected.shape or actual.dtype.kind not in "fiub":
        return actual.shape == expected.shape and bool((actual == expected).all())
    if not expected.size:
        return True
    values, expected_values = actual.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected_values)
    if not (np.isfinite(values) == finite).all():
        return False
    largest = float(np.abs(expected_values[finite]).max(initial=0.0))
    return bool(np.abs(values[finite] - expected_values[finite]).max(initial=0.0) <= TOLERANCE * max(largest, 1e-12))
