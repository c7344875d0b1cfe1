"""From a model's outputs to boxes, and from boxes to COCO's average precision."""

from dataclasses import replace

import numpy as np
import pytest
from detections import iou, join, make_scenes, suppress_plainly, take

from shared import detection, detector_outputs
from shared.detection import decode_outputs
from shared.detector_outputs import Detection

RANDOM = np.random.default_rng(0)
BOXES = np.array([[[10, 10, 30, 40], [12, 10, 30, 40], [50, 50, 60, 60]]], np.float32)
SCORES = np.array([[[0.9, 0.0], [0.8, 0.7], [0.0, 0.6]]], np.float32)
EVERYTHING = Detection(score_threshold=0.0, iou_threshold=1.0)


def found(detections):
    """(x1, y1, x2, y2, score, class) of each."""
    rows = zip(detections.boxes, detections.scores, detections.classes, strict=True)
    return [(*np.round(box, 4).tolist(), round(float(score), 4), int(number)) for box, score, number in rows]


def test_boxes_of_a_class_that_overlap_are_found_once():
    """Those of another class stay."""
    assert found(decode_outputs(Detection(), (BOXES, SCORES))) == [
        (10, 10, 30, 40, 0.9, 0),
        (12, 10, 30, 40, 0.7, 1),
        (50, 50, 60, 60, 0.6, 1),
    ]


def test_a_score_must_be_above_the_threshold():
    assert [row[4] for row in found(decode_outputs(Detection(score_threshold=0.65), (BOXES, SCORES)))] == [0.9, 0.7]
    assert not found(decode_outputs(Detection(score_threshold=1.0), (BOXES, SCORES)))


def test_one_output_has_boxes_and_scores():
    joint = np.concatenate([BOXES, SCORES], axis=2)
    expected = found(decode_outputs(Detection(), (BOXES, SCORES)))
    assert found(decode_outputs(Detection(), (joint,))) == expected
    assert found(decode_outputs(Detection(boxes=1, scores=1), (SCORES, joint))) == expected
    assert found(decode_outputs(Detection(boxes=1, scores=0), (SCORES, BOXES))) == expected


def test_centre_and_size():
    centers = np.array([[[20, 25, 20, 30], [21, 25, 18, 30], [55, 55, 10, 10]]], np.float32)
    expected = found(decode_outputs(Detection(), (BOXES, SCORES)))
    assert found(decode_outputs(Detection(decoder="center_size"), (centers, SCORES))) == expected


def test_offsets_from_anchors():
    """Encoded as Liu et al. have it: the offset of the centre in sizes of the anchor, the logarithm of the size."""
    anchors = np.array([[0.2, 0.3, 0.2, 0.4], [0.5, 0.5, 0.3, 0.3], [0.8, 0.7, 0.1, 0.2]])
    boxes = np.array([[0.15, 0.1, 0.32, 0.45], [0.3, 0.4, 0.7, 0.65], [0.72, 0.6, 0.9, 0.8]])
    centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    offsets = (centers - anchors[:, :2]) / anchors[:, 2:] / 0.1, np.log(sizes / anchors[:, 2:]) / 0.2
    options = replace(EVERYTHING, decoder="ssd", anchors=tuple(map(tuple, anchors.tolist())))
    scores = np.array([[[0.9], [0.8], [0.7]]])
    decoded = decode_outputs(options, (np.concatenate(offsets, axis=1)[None], scores))
    assert decoded.boxes == pytest.approx(boxes)
    assert np.isfinite(decode_outputs(options, (np.full((1, 3, 4), 1e6), scores)).boxes).all()


def test_scores_are_told_by_their_values():
    logits = np.array([[[2.0, -1.0, 0.5]]])
    box = BOXES[:, :1]
    sigmoid, softmax = 1 / (1 + np.exp(-logits[0, 0])), np.exp(logits[0, 0]) / np.exp(logits[0, 0]).sum()
    assert decode_outputs(EVERYTHING, (box, logits)).scores == pytest.approx(np.sort(sigmoid)[::-1])
    decoded = decode_outputs(replace(EVERYTHING, background=True), (box, logits))
    assert dict(zip(decoded.classes.tolist(), decoded.scores, strict=True)) == pytest.approx(
        {0: softmax[1], 1: softmax[2]}
    )
    assert decode_outputs(replace(EVERYTHING, activation="softmax"), (box, logits)).scores == pytest.approx(
        np.sort(softmax)[::-1]
    )
    probabilities = np.array([[[0.1, 0.5, 0.3]]])
    assert decode_outputs(EVERYTHING, (box, probabilities)).scores == pytest.approx([0.5, 0.3, 0.1])


def test_the_float_model_determines_what_scores_are():
    """Quantized logits of a weak model may all lie between 0 and 1."""
    weak = (BOXES[:, :1], np.array([[[0.5, 0.25]]]))
    settled = detection.settle_activation(Detection(), (BOXES[:, :1], np.array([[[3.0, -4.0]]])))
    assert decode_outputs(settled, weak).scores == pytest.approx(1 / (1 + np.exp([-0.5, -0.25])))


def test_objectness_is_a_factor():
    scores = np.array([[[0.5, 0.8, 0.4]]])
    decoded = decode_outputs(replace(EVERYTHING, objectness=True), (BOXES[:, :1], scores))
    assert decoded.scores == pytest.approx([0.4, 0.2])
    both = replace(EVERYTHING, objectness=True, activation="sigmoid")
    logistic = 1 / (1 + np.exp(-scores[0, 0]))
    assert decode_outputs(both, (BOXES[:, :1], scores)).scores == pytest.approx(logistic[0] * logistic[1:])


@pytest.mark.parametrize("seed", range(8))
def test_suppression_against_a_plain_loop(seed, monkeypatch):
    """Images of different numbers of candidates, in one block and in many; equal scores, overlaps of just a half."""
    random = np.random.default_rng(seed)
    monkeypatch.setattr(detection, "BLOCK", (1 << 18, 300)[seed % 2])
    monkeypatch.setattr(detection.numerics, "BLOCK_VALUES", (1 << 22, 2000)[seed % 2])
    corners, sides = random.integers(0, 30, (9, 60, 2)), random.integers(1, 20, (9, 60, 2))
    boxes = np.concatenate([corners, corners + sides], axis=2).astype(np.float32)
    scores = np.round(random.random((9, 60, 3)), 1) * (random.random((9, 1, 1)) < 0.8)
    decoded = decode_outputs(Detection(score_threshold=0.3, iou_threshold=0.5), (boxes, scores))
    assert decoded.samples == 9
    for image in range(9):
        candidates, classes = np.nonzero(scores[image] > 0.3)
        chosen = scores[image][candidates, classes]
        kept = suppress_plainly(boxes[image][candidates], chosen, classes, 0.5)
        own = decoded.images == image
        assert decoded.scores[own].tolist() == chosen[kept].tolist()
        assert decoded.classes[own].tolist() == classes[kept].tolist()
        assert decoded.boxes[own].tolist() == boxes[image][candidates[kept]].tolist()


def test_at_most_a_hundred_an_image():
    corners = np.stack(np.meshgrid(np.arange(15.0), np.arange(15.0)), axis=-1).reshape(1, -1, 2)
    scores = RANDOM.permutation(np.linspace(0.2, 0.9, 225))[None, :, None]
    decoded = decode_outputs(Detection(), (np.concatenate([corners, corners + 1], axis=2), scores))
    assert decoded.scores.tolist() == np.sort(scores.ravel())[::-1][:100].tolist()


def test_only_the_best_candidates_are_looked_at(monkeypatch):
    monkeypatch.setattr(detection, "MOST_CANDIDATES", 7)
    boxes, scores = RANDOM.random((2, 40, 4)), RANDOM.random((2, 40, 2))
    decoded = decode_outputs(replace(EVERYTHING, activation="none"), (boxes, scores))
    for image in range(2):
        assert decoded.scores[decoded.images == image].tolist() == np.sort(scores[image].ravel())[::-1][:7].tolist()


def test_what_is_not_finite_matches_nothing():
    boxes = np.array([[[np.nan] * 4, [0, 0, np.inf, 4], [0, 0, 4, 4], [3, 3, 1, 1]]])
    scores = np.array([[[0.9], [0.8], [0.7], [0.6]]])
    labels = np.array([[[0, 0, 4, 4, 0]]], np.float32)
    decoded = decode_outputs(Detection(activation="none"), (boxes, scores))
    assert detection.match_detections(decoded, labels)[:, 0].tolist() == [False, False, True, False]
    nothing = decode_outputs(Detection(activation="none"), (boxes, np.full(scores.shape, np.nan)))
    assert len(nothing.scores) == 0


def test_overlaps():
    first, second = np.array([0.0, 0, 4, 4]), np.array([2.0, 0, 6, 4])
    assert detection.compute_iou(first, second) == pytest.approx(1 / 3) == iou(first, second)
    assert detection.compute_iou(first, np.array([5.0, 5, 6, 6])) == 0
    assert detection.compute_iou(np.zeros(4), np.zeros(4)) == 0


def test_each_object_is_found_once_by_the_highest_score():
    """The second detection overlaps the first object more, which is taken: it has the other."""
    labels = np.array([[[0, 0, 10, 10, 0], [0, 2, 10, 12, 0], [0, 0, 10, 10, 1], [0, 0, 0, 0, -1]]], np.float32)
    detections = join([[(0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (0, 0, 10, 10, 0.7, 0)]])
    hits = detection.match_detections(detections, labels, [0.5, 0.7])
    assert hits.tolist() == [[True, True], [True, False], [False, False]]


def test_of_equal_overlaps_the_last_object_is_taken():
    """As in COCO's loop, which goes on while an overlap is not lower."""
    labels = np.array([[[0, 0, 10, 8, 0], [0, 2, 10, 10, 0]]], np.float32)
    detections = join([[(0, 0, 10, 10, 0.9, 0), (0, 0, 10, 8, 0.8, 0)]])
    assert detection.match_detections(detections, labels, [0.75]).ravel().tolist() == [True, True]
    other = join([[(0, 0, 10, 10, 0.9, 0), (0, 2, 10, 10, 0.8, 0)]])
    assert detection.match_detections(other, labels, [0.75]).ravel().tolist() == [True, False]


def test_matching_in_blocks_is_the_same(monkeypatch):
    detections, labels = make_scenes(3, images=60)
    whole = detection.match_detections(detections, labels)
    assert whole.any()
    monkeypatch.setattr(detection, "BLOCK", 40)
    assert (detection.match_detections(detections, labels) == whole).all()


def test_average_precision_by_hand():
    """Right, wrong, right, of four objects: precision 1 up to a recall of 0.25, 2/3 up to 0.5: 26 and 25 levels."""
    hits = np.array([[True], [False], [True]])
    assert detection.average_precision(hits, 4) == pytest.approx((26 * 1 + 25 * 2 / 3) / 101)
    assert detection.average_precision(hits[:0], 4) == 0
    assert detection.average_precision(np.array([[False], [True]]), 1) == pytest.approx(0.5)


def test_the_mean_is_over_classes_with_objects():
    """A class that is found and is not there counts for nothing; one that is there and is not found counts as 0."""
    labels = np.array([[[0, 0, 4, 4, 0], [5, 5, 9, 9, 2]]], np.float32)
    detections = join([[(0, 0, 4, 4, 0.9, 0), (0, 0, 4, 4, 0.8, 1)]])
    assert detection.coco_map(detections, labels) == 0.5
    assert detection.coco_map(detections, np.full((1, 1, 5), -1.0)) == 0


def test_weights_are_repeated_images():
    """Those of weight 0 are left out."""
    detections, labels = make_scenes(4, images=60, levels=10**9)
    rankings = detection.rank_detections(detections, labels)
    for indices in np.sort(RANDOM.integers(0, 60, (5, 60)), axis=1):
        weights = np.bincount(indices, minlength=60).astype(np.float64)
        expected = detection.coco_map(*take(detections, labels, indices))
        assert detection.compute_map(rankings, weights) == pytest.approx(expected, abs=1e-12)
    assert detection.compute_map(rankings, np.zeros(60)) == 0


def test_outputs_that_are_joined_are_ranked():
    """Whatever their form was."""
    labels = np.array([[[10, 10, 30, 40, 0], [50, 50, 60, 60, 1]]], np.float32)
    options = Detection(boxes=1, scores=0, score_threshold=0.65)
    joined = detector_outputs.join_outputs(options, (SCORES, BOXES))
    assert joined.shape == (1, 3, 6)
    assert detection.compute_map(detection.rank_joined(options, joined, labels)) == 0.5
    logits = np.log(SCORES + 1e-9) - np.log(1 - SCORES + 1e-9)
    other = detector_outputs.join_outputs(options, (logits, BOXES))
    assert detection.compute_map(detection.rank_joined(options, other, labels, other)) == 0.5
    strict = replace(options, score_threshold=0.69)
    by_itself, by_other = (detection.rank_joined(strict, joined, labels, each)[1].images for each in (None, other))
    assert (len(by_itself), len(by_other)) == (1, 0), "0.7 is above, the sigmoid of 0.7 is not"
