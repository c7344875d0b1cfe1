"""Calibration samples that no other is like: a few of them set every range, and all others share what steps are left.

In a briefly trained EfficientNetB0 the largest logit of 500 images was 340 times the median image's: with a range that
holds it, a step was larger than the margin between the two best classes of 96% of the images.
"""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from images.onnx import computed_bytes
from images.onnx.session import batch_of, feed, open_session
from shared.data import samples
from shared.data.calibration_batches import EMPTY
from shared.data.samples import LARGEST_KEPT, Batch, Indices, batches
from shared.errors import CrossquantError
from shared.measure import fixed_batch
from shared.runner import threads

Floats = NDArray[np.float32]
BATCH = 25  # samples: all tensors of the graph are in memory at once


def without_outliers(model: Path, calibration: Path, limit: float, scratch: Path) -> Path:
    """The samples that score at most `limit`, as a folder in `scratch`; `calibration` itself for a limit of 0."""
    if not limit:
        return calibration
    kept = ordinary(scores(magnitudes(model, calibration, scratch)), limit)
    total, unit = samples.count(calibration), samples.about(calibration).unit
    print(f"{total - len(kept)} of {total} calibration {unit} score over {limit:g} and are left out")
    if not len(kept):
        raise CrossquantError(f"outliers: no calibration sample scores at most {limit:g}: raise it, 10 is usual")
    folder = scratch / "ordinary"
    folder.mkdir()
    for path in samples.inputs(calibration):
        few(path, kept, folder / path.name)
    if (calibration / samples.ABOUT).exists():
        shutil.copyfile(calibration / samples.ABOUT, folder / samples.ABOUT)
    return folder


def few(path: Path, kept: Indices, target: Path) -> None:
    """Those of the array at `path`, one at a time."""
    stored = samples.mapped(path)
    written = np.lib.format.open_memmap(target, "w+", stored.dtype, (len(kept), *stored.shape[1:]))
    for place, index in enumerate(kept):
        written[place] = stored[index]
    written.flush()


def magnitudes(model: Path, calibration: Path, scratch: Path) -> Floats:
    """(samples, tensors): the greatest magnitude that each float tensor of the graph has for each sample.

    CrossquantError where there are no samples, Unsupported for a fixed batch.
    """
    if not samples.count(calibration):
        raise CrossquantError(EMPTY)
    graph = onnx.shape_inference.infer_shapes(onnx.load(model))
    fixed_batch.refuse(batch_of(graph.graph))
    floats = {item.name for item in graph.graph.value_info if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    made = [name for node in graph.graph.node for name in node.output if name in floats]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    onnx.save(graph, scratch / "magnitudes.onnx")
    session = open_session(scratch / "magnitudes.onnx", threads.allowed(), observing=True)
    wanted = by_sample(session, samples.take(calibration, slice(2)))
    size = samples.fitting(calibration, BATCH, LARGEST_KEPT, computed_bytes.of(model, calibration, made))
    found = []
    for batch in batches(calibration, size):
        answers = [answer.reshape(len(batch[0]), -1) for answer in session.run(wanted, feed(session, batch))]
        found.append(np.stack([np.abs(answer).max(axis=1) for answer in answers], axis=1))
    return np.concatenate(found)


def by_sample(session: onnxruntime.InferenceSession, batch: Batch) -> list[str]:
    """The outputs whose first axis is the samples: of a table there is one for all, of a time series steps come first.

    They have one row for one sample, and as many as there are for all of `batch`.
    """
    names = [item.name for item in session.get_outputs()]
    sizes = (1, len(batch[0]))
    runs = [session.run(names, feed(session, tuple(array[:size] for array in batch))) for size in sizes]
    lengths = [[answer.shape[0] if answer.ndim else 0 for answer in answers] for answers in runs]
    return [name for name, *found in zip(names, *lengths, strict=True) if tuple(found) == sizes]


def scores(found: Floats) -> NDArray[np.float64]:
    """For each sample, how many times the median sample's its magnitude is, in the tensor where that is most."""
    typical = np.median(found, axis=0)
    known = typical > 0
    return np.asarray((found[:, known] / typical[known]).max(axis=1, initial=0.0), np.float64)


def ordinary(found: NDArray[np.float64], limit: float) -> Indices:
    """The indices of all samples with a score of at most `limit`, sorted.

    Of 500 images of CIFAR-10 a ResNet-8 has none above 4, and a limit of 10 changes nothing there.
    """
    return np.flatnonzero(found <= limit)
