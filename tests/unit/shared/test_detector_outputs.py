"""How a detector's outputs have boxes and scores: forms that are read, and errors that name the fix."""

import numpy as np
import pytest

from shared import detector_outputs
from shared.detector_outputs import Detection
from shared.errors import CrossquantError

BOXES, SCORES = np.random.default_rng(0).random((2, 8, 4)), np.random.default_rng(1).random((2, 8, 2))
JOINT = np.concatenate([BOXES, SCORES], axis=2)


@pytest.mark.parametrize(
    ("outputs", "numbers"),
    [
        ((BOXES, SCORES), (0, 1)),
        ((SCORES, BOXES), (1, 0)),
        ((JOINT,), (0, 1)),
        ((SCORES, JOINT), (1, 1)),
        ((JOINT.transpose(0, 2, 1),), (0, 0)),
        ((BOXES.transpose(0, 2, 1), SCORES.transpose(0, 2, 1)), (0, 1)),
        ((BOXES.reshape(2, 2, 4, 4), SCORES.reshape(2, 2, 4, 2)), (0, 1)),
        ((JOINT.reshape(2, 2, 2, 2, 6),), (0, 0)),
    ],
)
def test_boxes_and_scores_are_found_in_each_form(outputs, numbers):
    """In one output or two, with candidates last or on a grid."""
    options = Detection(boxes=numbers[0], scores=numbers[1])
    boxes, scores = detector_outputs.separate_outputs(options, outputs, classes=2)
    assert (boxes == BOXES).all()
    assert (scores == SCORES).all()
    assert (detector_outputs.join_outputs(options, outputs, classes=2) == JOINT).all()


@pytest.mark.parametrize(
    ("options", "shapes", "classes", "message"),
    [
        ({"scores": 2}, [(3, 4), (3, 2)], 0, "detection.scores is 2, and the model has 2 outputs, from 0"),
        ({}, [(12,), (3, 2)], 0, r"output 0 is \(12,\) a sample: boxes must be \(candidates, values\); set detection"),
        ({}, [(3, 5), (3, 2)], 0, r"output 0 is \(3, 5\) a sample: a box must have 4 values; set detection.boxes"),
        ({}, [(5, 4), (3, 2)], 0, r"output 1 is \(3, 2\) a sample, and there are 5 boxes: each box must have scores"),
        ({}, [(3, 4), (3, 2)], 5, "output 1 has 2 scores a box, of 2 classes, and there are 5: fix `detection`"),
        ({"background": True}, [(3, 4), (3, 1)], 0, "output 1 has 1 scores a box, of 0 classes, and there are some"),
        ({}, [(3, 7)], 2, r"output 0 is \(3, 7\) a sample: a candidate must have 4 \+ 2 values; fix `detection`"),
        ({"objectness": True}, [(3, 5)], 0, r"output 0 is \(3, 5\) a sample: a candidate must have 4 \+ 1 \+ classes"),
        ({"anchors": ((1, 1, 1, 1),)}, [(3, 4), (3, 2)], 0, "there are 1 anchors, and the model has 3 boxes: give one"),
    ],
)
def test_outputs_of_another_shape_are_an_error(options, shapes, classes, message):
    outputs = [np.zeros((2, *shape)) for shape in shapes]
    with pytest.raises(CrossquantError, match=f"^{message}"):
        detector_outputs.check_outputs(Detection(**options), outputs, None, classes)


def test_labels_that_do_not_fit_are_an_error():
    outputs = (np.zeros((2, 3, 4)), np.zeros((2, 3, 2)))
    with pytest.raises(
        CrossquantError, match=r"^labels of \(2, 3\) for 2 images: they must be \(samples, objects, 5\)"
    ):
        detector_outputs.check_outputs(Detection(), outputs, np.zeros((2, 3)))
    with pytest.raises(CrossquantError, match=r"^an object of class 2, but the model scores 2 classes, from 0: number"):
        detector_outputs.check_outputs(Detection(), outputs, np.full((2, 1, 5), 2.0))
    detector_outputs.check_outputs(Detection(), outputs, np.full((2, 1, 5), 1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_threshold": 1.5}, "detection.score_threshold is 1.5: it must be from 0 to 1"),
        ({"iou_threshold": -0.1}, "detection.iou_threshold is -0.1: it must be from 0 to 1"),
        ({"boxes": -1}, "detection.boxes and detection.scores are numbers of outputs, from 0"),
        ({"variances": (0.1, 0.2)}, "detection.variances must be four numbers above 0"),
        ({"decoder": "ssd"}, "the decoder ssd needs anchors"),
        ({"anchors": ((0.5, 0.5, 1.0, 1.0),)}, "the decoder corners takes no anchors"),
        ({"decoder": "ssd", "anchors": ((0.5, 0.5, 1.0, 0.0),)}, r"anchor 0 is \[0.5, 0.5, 1.0, 0.0\]: it must be"),
    ],
)
def test_options_that_make_no_sense_are_an_error(options, message):
    with pytest.raises(CrossquantError, match=f"^{message}"):
        detector_outputs.check_options(Detection(**options))
