"""Calibration images that no other is like: a few of them set every range, and all others share what steps are left.

In a briefly trained EfficientNetB0 the largest logit of 500 images was 340 times the median image's: with a range that
holds it, a step was larger than the margin between the two best classes of 96% of the images.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from images.onnx.session import open_session
from shared import threads
from shared.errors import CrossquantError
from shared.images import Floats, Indices, batches

BATCH = 25  # images: all tensors of the graph are in memory at once


def without_outliers(model: Path, images: Path, limit: float, scratch: Path) -> Path:
    """The images that score at most `limit`, as a file in `scratch`; all of them, where they are, for a limit of 0."""
    if not limit:
        return images
    kept = ordinary(scores(magnitudes(model, images, scratch)), limit)
    stored = np.load(images, mmap_mode="r")
    print(f"{len(stored) - len(kept)} of {len(stored)} calibration images score over {limit:g} and are left out")
    if not len(kept):
        raise CrossquantError(f"outliers: no calibration image scores at most {limit:g}: raise it, 10 is usual")
    few = np.lib.format.open_memmap(scratch / "ordinary.npy", "w+", stored.dtype, (len(kept), *stored.shape[1:]))
    for place, index in enumerate(kept):
        few[place] = stored[index]
    few.flush()
    return scratch / "ordinary.npy"


def magnitudes(model: Path, images: Path, scratch: Path) -> Floats:
    """(images, tensors): the greatest magnitude that each float tensor of the graph has for each image."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(model))
    floats = {item.name for item in graph.graph.value_info if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    made = [name for node in graph.graph.node for name in node.output if name in floats]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    onnx.save(graph, scratch / "magnitudes.onnx")
    session = open_session(scratch / "magnitudes.onnx", threads.allowed())
    [taken], wanted = session.get_inputs(), [item.name for item in session.get_outputs()]
    found = []
    for batch in batches(images, BATCH):
        answers = session.run(wanted, {taken.name: batch})
        found.append(np.stack([np.abs(answer).reshape(len(batch), -1).max(axis=1) for answer in answers], axis=1))
    if not found:
        raise CrossquantError("the calibration set is empty: raise calibration.images")
    return np.concatenate(found)


def scores(found: Floats) -> NDArray[np.float64]:
    """For each image, how many times the median image's its magnitude is, in the tensor where that is most."""
    typical = np.median(found, axis=0)
    known = typical > 0
    return np.asarray((found[:, known] / typical[known]).max(axis=1, initial=0.0), np.float64)


def ordinary(found: NDArray[np.float64], limit: float) -> Indices:
    """The indices of all images with a score of at most `limit`, sorted.

    Of 500 calibration images a ResNet-8 has none above 4, and a limit of 10 changes nothing there.
    """
    return np.flatnonzero(found <= limit)
