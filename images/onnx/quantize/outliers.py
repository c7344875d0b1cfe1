"""Drops outliers from the calibration samples: a few of them can set every range and leave few steps for the others.

In a briefly trained EfficientNetB0 the largest logit of 500 images was 340 times the median image's. With a range that
covers it, a step was larger than the margin between the two best classes for 96% of the images.
"""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from images.onnx import computed_bytes
from images.onnx.session import build_feed, fixed_batch_size, open_session
from shared.data import samples
from shared.data.calibration_batches import EMPTY
from shared.data.samples import LARGEST_KEPT, Batch, Indices, batches
from shared.errors import CrossquantError
from shared.measure import fixed_batch
from shared.runner import threads

Floats = NDArray[np.float32]
BATCH = 25  # samples: all tensors of the graph are in memory together


def drop_outliers(model: Path, calibration: Path, limit: float, scratch: Path) -> Path:
    """Copy the samples that score at most `limit` to a folder in `scratch`, and return it.

    A limit of 0 keeps all samples: `calibration` itself is returned. CrossquantError if no sample is left.
    """
    if not limit:
        return calibration
    kept_indices = select_ordinary(score_samples(measure_magnitudes(model, calibration, scratch)), limit)
    total, unit = samples.count(calibration), samples.about(calibration).unit
    print(f"{total - len(kept_indices)} of {total} calibration {unit} score over {limit:g} and are left out")
    if not len(kept_indices):
        raise CrossquantError(f"outliers: no calibration sample scores at most {limit:g}: raise it, 10 is usual")
    folder = scratch / "ordinary"
    folder.mkdir()
    for path in samples.inputs(calibration):
        copy_samples(path, kept_indices, folder / path.name)
    if (calibration / samples.ABOUT).exists():
        shutil.copyfile(calibration / samples.ABOUT, folder / samples.ABOUT)
    return folder


def copy_samples(path: Path, indices: Indices, target: Path) -> None:
    """Copy the samples with the indices `kept` from the array at `path` to `target`, one at a time."""
    stored = samples.mapped(path)
    written = np.lib.format.open_memmap(target, "w+", stored.dtype, (len(indices), *stored.shape[1:]))
    for position, index in enumerate(indices):
        written[position] = stored[index]
    written.flush()


def measure_magnitudes(model: Path, calibration: Path, scratch: Path) -> Floats:
    """Return (samples, tensors): the greatest magnitude of each float tensor of the graph for each sample.

    CrossquantError if there are no samples. Unsupported for a fixed batch.
    """
    if not samples.count(calibration):
        raise CrossquantError(EMPTY)
    graph = onnx.shape_inference.infer_shapes(onnx.load(model))
    fixed_batch.refuse(fixed_batch_size(graph.graph))
    floats = {item.name for item in graph.graph.value_info if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    tensors = [name for node in graph.graph.node for name in node.output if name in floats]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    onnx.save(graph, scratch / "magnitudes.onnx")
    session = open_session(scratch / "magnitudes.onnx", threads.allowed(), low_memory=True)
    outputs = outputs_per_sample(session, samples.take(calibration, slice(2)))
    size = samples.fitting(
        calibration, BATCH, LARGEST_KEPT, computed_bytes.per_sample_of_file(model, calibration, tensors)
    )
    by_batch = []
    for batch in batches(calibration, size):
        answers = [answer.reshape(len(batch[0]), -1) for answer in session.run(outputs, build_feed(session, batch))]
        by_batch.append(np.stack([np.abs(answer).max(axis=1) for answer in answers], axis=1))
    return np.concatenate(by_batch)


def outputs_per_sample(session: onnxruntime.InferenceSession, batch: Batch) -> list[str]:
    """Return the outputs whose first axis is the samples, with one row for one sample and as many as there are in
    `batch`.

    A table has one row for all samples, and a time series may have its steps on the first axis.
    """
    names = [item.name for item in session.get_outputs()]
    sizes = (1, len(batch[0]))
    runs = [session.run(names, build_feed(session, tuple(array[:size] for array in batch))) for size in sizes]
    lengths = [[answer.shape[0] if answer.ndim else 0 for answer in answers] for answers in runs]
    return [name for name, *rows in zip(names, *lengths, strict=True) if tuple(rows) == sizes]


def score_samples(sample_magnitudes: Floats) -> NDArray[np.float64]:
    """Return (samples,): the sample's magnitude as a multiple of the median sample's, in the tensor where that is
    greatest.
    """
    typical = np.median(sample_magnitudes, axis=0)
    nonzero = typical > 0
    return np.asarray((sample_magnitudes[:, nonzero] / typical[nonzero]).max(axis=1, initial=0.0), np.float64)


def select_ordinary(sample_scores: NDArray[np.float64], limit: float) -> Indices:
    """Return the sorted indices of all samples with a score of at most `limit`.

    Of 500 images of CIFAR-10 none scores above 4 with a ResNet-8, so that a limit of 10 changes nothing there.
    """
    return np.flatnonzero(sample_scores <= limit)
