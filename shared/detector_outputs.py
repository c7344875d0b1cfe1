"""How a detector's outputs have boxes and scores: what an experiment declares, and the arrays in one form.

It is apart from shared/detection.py since all that reads samples depends on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.errors import CrossquantError

Array = NDArray[Any]
Decoder: TypeAlias = Literal["corners", "center_size", "ssd"]
Activation: TypeAlias = Literal["auto", "none", "sigmoid", "softmax"]

SIDES = 4  # values of a box
PADDING = -1  # the class of a row of labels that is no object
MOST_UNNAMED = 1000  # values of a candidate that no names of classes account for
LABEL_COLUMNS = SIDES + 1
LABEL_AXES = 3  # samples, objects, columns


@dataclass(frozen=True)
class Detection:
    """How a model's outputs are to be read as boxes and scores.

    `boxes` and `scores` are the numbers of the outputs that have them, (samples, candidates, 4) and (samples,
    candidates, classes). Where both are one number, or the model has one output, it has (samples, candidates,
    4 + classes). Axes between the samples and the last one are candidates too, and two that are swapped are swapped
    back.

    `decoder`: `corners` are boxes already, `center_size` has centre and size (x, y, width, height), `ssd` offsets from
    `anchors`, (candidates, 4) of centre and size, times `variances` (Liu et al., "SSD: Single Shot MultiBox Detector",
    ECCV 2016). `normalized`: boxes are shares of width and height, else pixels. `background`: the first class is none.
    `objectness`: the first score is that there is anything, by which the others are multiplied. `activation` is what
    makes probabilities of the scores: `auto` is `none` where they can be probabilities, else `softmax` with a
    background and `sigmoid` without one.

    A candidate counts for each class whose score is above `score_threshold`. Of those of one class that overlap by
    more than `iou_threshold`, 0 to 1, the highest score is kept; 1 keeps all.
    """

    decoder: Decoder = "corners"
    boxes: int = 0
    scores: int = 1
    score_threshold: float = 0.01
    iou_threshold: float = 0.5
    normalized: bool = False
    background: bool = False
    objectness: bool = False
    activation: Activation = "auto"
    variances: tuple[float, ...] = (0.1, 0.1, 0.2, 0.2)
    anchors: tuple[tuple[float, ...], ...] = ()

    @property
    def columns(self) -> int:
        """How many scores of a candidate are of no class."""
        return self.objectness + self.background


def check_options(detection: Detection) -> None:
    """CrossquantError for options that contradict each other."""
    for name in ("score_threshold", "iou_threshold"):
        if not 0 <= getattr(detection, name) <= 1:
            raise CrossquantError(f"detection.{name} is {getattr(detection, name):g}: it must be from 0 to 1")
    if detection.boxes < 0 or detection.scores < 0:
        raise CrossquantError("detection.boxes and detection.scores are numbers of outputs, from 0")
    if len(detection.variances) != SIDES or not np.isfinite(detection.variances).all() or min(detection.variances) <= 0:
        raise CrossquantError("detection.variances must be four numbers above 0, such as [0.1, 0.1, 0.2, 0.2]")
    if (detection.decoder == "ssd") != bool(detection.anchors):
        needs = "needs anchors" if detection.decoder == "ssd" else "takes no anchors"
        raise CrossquantError(f"the decoder {detection.decoder} {needs}: the decoder ssd is for offsets from anchors")
    for number, anchor in enumerate(detection.anchors):
        if len(anchor) != SIDES or not np.isfinite(anchor).all() or min(anchor[2:]) <= 0:
            raise CrossquantError(
                f"anchor {number} is {list(anchor)}: it must be centre x, centre y, width and height, the sizes above 0"
            )


def separate_outputs(detection: Detection, outputs: Sequence[Array], classes: int = 0) -> tuple[Array, Array]:
    """Return the raw boxes, (samples, candidates, 4), and all scores, (samples, candidates, scores), of a model.

    `outputs` are all outputs of the model; `classes` is the number of classes, 0 where it isn't known. CrossquantError
    where the outputs don't have these shapes.
    """
    boxes, scores = (_pick_output(outputs, detection, name) for name in ("boxes", "scores"))
    if boxes is scores:
        width = SIDES + detection.columns + classes
        if not classes and boxes.ndim == 3 and boxes.shape[1] < boxes.shape[2] > MOST_UNNAMED:
            raise CrossquantError(
                f"output {detection.boxes} is {boxes.shape[1:]} a sample, and it can't be told which axis has the "
                "candidates: name the classes in data.classes"
            )
        joint = _orient(boxes, lambda candidates, values: not classes or values == width)
        if joint.shape[-1] <= SIDES + detection.columns or (classes and joint.shape[-1] != width):
            expected = f"4 + {detection.columns + classes}" if classes else f"4 + {detection.columns} + classes"
            raise CrossquantError(
                f"output {detection.boxes} is {boxes.shape[1:]} a sample: a candidate must have {expected} values; fix "
                "`detection` (boxes, scores, background, objectness) or the names of the classes"
            )
        return joint[..., :SIDES], joint[..., SIDES:]
    boxes = _orient(boxes, lambda candidates, values: values == SIDES)
    if boxes.shape[-1] != SIDES:
        raise CrossquantError(
            f"output {detection.boxes} is {boxes.shape[1:]} a sample: a box must have 4 values; set detection.boxes to "
            "the number of the output that has the boxes"
        )
    shape = scores.shape
    scores = _orient(scores, lambda candidates, values: candidates == boxes.shape[1])
    if scores.shape[:2] != boxes.shape[:2]:
        raise CrossquantError(
            f"output {detection.scores} is {shape[1:]} a sample, and there are {boxes.shape[1]} boxes: each box must "
            "have scores; set detection.scores to the number of the output that has them"
        )
    found = scores.shape[-1] - detection.columns
    if found < 1 or (classes and found != classes):
        raise CrossquantError(
            f"output {detection.scores} has {scores.shape[-1]} scores a box, of {max(found, 0)} classes, and there are "
            f"{classes or 'some'}: fix `detection` (background, objectness) or the names of the classes"
        )
    return boxes, scores


def _pick_output(outputs: Sequence[Array], detection: Detection, name: str) -> Array:
    """One output, (samples, candidates, values). CrossquantError where there is none, or of another rank."""
    number: int = 0 if len(outputs) == 1 else getattr(detection, name)
    if number >= len(outputs):
        raise CrossquantError(f"detection.{name} is {number}, and the model has {len(outputs)} outputs, from 0")
    if outputs[number].ndim < 3:
        raise CrossquantError(
            f"output {number} is {outputs[number].shape[1:]} a sample: {name} must be (candidates, values); set "
            f"detection.{name} to the number of another output"
        )
    return outputs[number]


def _orient(output: Array, fits: Callable[[int, int], bool]) -> Array:
    """(samples, candidates, values): as it is, or with the two axes swapped where only that fits."""
    if output.ndim == 3 and not fits(*output.shape[1:]) and fits(*output.shape[:0:-1]):
        return output.transpose(0, 2, 1)
    return output.reshape(len(output), -1, output.shape[-1])


def check_outputs(detection: Detection, outputs: Sequence[Array], labels: Array | None, classes: int = 0) -> None:
    """CrossquantError where the outputs can't be decoded, or can't be compared with the labels."""
    boxes, scores = separate_outputs(detection, outputs, classes)
    if detection.anchors and len(detection.anchors) != boxes.shape[1]:
        raise CrossquantError(
            f"there are {len(detection.anchors)} anchors, and the model has {boxes.shape[1]} boxes: give one a box"
        )
    if labels is None:
        return
    if labels.ndim != LABEL_AXES or labels.shape[-1] != LABEL_COLUMNS or len(labels) != len(boxes):
        raise CrossquantError(
            f"labels of {labels.shape} for {len(boxes)} images: they must be (samples, objects, 5), each x1, y1, x2, "
            "y2, class; see docs/your-data.md"
        )
    found, numbers = scores.shape[-1] - detection.columns, labels[..., SIDES]
    if not np.isfinite(labels).all() or (numbers != np.floor(numbers)).any() or numbers.min(initial=PADDING) < PADDING:
        raise CrossquantError("labels with values that are no boxes or classes; see docs/your-data.md")
    if labels.size and labels[..., SIDES].max() >= found:
        raise CrossquantError(
            f"an object of class {labels[..., SIDES].max():g}, but the model scores {found} classes, from 0: number "
            "the classes as the model does, and set detection.background where its first class is the background"
        )


def join_outputs(detection: Detection, outputs: Sequence[Array], classes: int = 0) -> Array:
    """Return boxes and scores as one array, (samples, candidates, 4 + scores), from all outputs of a model."""
    return np.concatenate(separate_outputs(detection, outputs, classes), axis=-1)
