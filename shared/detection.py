"""Object detection: from a model's raw outputs to boxes, and from boxes to COCO's average precision.

Boxes are (x1, y1, x2, y2), in pixels or as shares of width and height. The intersection over union, IoU, is the same
for both, whatever the shape of the picture, so that nothing here needs its size; boxes are not clipped to it. Labels
are (samples, most objects, 5): a box and its class, where rows of the class -1 are padding.

The metric is that of COCO's evaluation (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; `COCOeval`
in pycocotools): precision at 101 levels of recall, the mean over the classes that have objects and over IoU 0.50 to
0.95. There are no crowd regions and no ranges of sizes: every object counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared import numerics
from shared.detector_outputs import PADDING, SIDES, Decoder, Detection, check_outputs, separate_outputs
from shared.numerics import Array, Doubles

Flags: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.int64]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)  # COCO's
MOST_DETECTIONS = 100  # an image: COCO's
MOST_CANDIDATES = 5000  # an image, of the highest scores: Detectron2 takes 1,000 of each of five levels
LONGEST_SIDE = float(np.log(1000 / 16))  # of the exponent of an SSD's side, torchvision's: a higher one is no box
EXACT = 1 - 1e-10  # the highest IoU that COCO's evaluation asks for
BLOCK = 1 << 18  # values in memory while overlaps are computed: they fit into a cache


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes that are found in `samples` images, by image and then by score, the highest first.

    `images` has the number of each one's image, `boxes` is (detections, 4), `scores` and `classes` (detections,).
    """

    samples: int
    images: Integers
    boxes: Doubles
    scores: Doubles
    classes: Integers


def settle_activation(detection: Detection, outputs: Sequence[Array], classes: int = 0) -> Detection:
    """Return the same with an `activation` other than `auto`, told by the values of `outputs`.

    Give those of the float model: all logits of a weak quantized model may be between 0 and 1.
    """
    if detection.activation != "auto":
        return detection
    return choose_activation(detection, numerics.are_logits(separate_outputs(detection, outputs, classes)[1]))


def choose_activation(detection: Detection, logits: bool) -> Detection:
    """Return the same with an `activation` other than `auto`: are the scores logits?"""
    if detection.activation != "auto":
        return detection
    if not logits:
        return replace(detection, activation="none")
    return replace(detection, activation="softmax" if detection.background else "sigmoid")


def decode_outputs(detection: Detection, outputs: Sequence[Array], classes: int = 0) -> Detections:
    """Return the detections of a model's outputs, at most `MOST_DETECTIONS` an image, without those that overlap.

    `outputs` are all outputs of the model, each (samples, …). CrossquantError where they can't be decoded.
    """
    check_outputs(detection, outputs, None, classes)
    detection = settle_activation(detection, outputs, classes)
    boxes, scores = separate_outputs(detection, outputs, classes)
    size = max(1, numerics.BLOCK_VALUES // max(1, boxes.shape[1] * (SIDES + scores.shape[-1])))
    parts = []
    for start in range(0, len(boxes), size):
        block = slice(start, start + size)
        with np.errstate(all="ignore"):  # a broken model may answer anything; what isn't finite matches nothing
            decoded = DECODERS[detection.decoder](boxes[block].astype(np.float64), detection)
            probabilities = compute_probabilities(scores[block], detection)
        candidates = [
            _select_candidates(*pair, detection.score_threshold) for pair in zip(decoded, probabilities, strict=True)
        ]
        parts += _suppress_each(candidates, detection.iou_threshold)
    return _join(parts)


def _decode_corners(raw: Doubles, _: Detection) -> Doubles:
    return raw


def _decode_center_size(raw: Doubles, _: Detection) -> Doubles:
    return to_corners(raw[..., :2], raw[..., 2:])


def _decode_ssd(raw: Doubles, detection: Detection) -> Doubles:
    anchors, variances = np.array(detection.anchors), np.array(detection.variances)
    scaled = raw * variances
    sizes = np.exp(np.minimum(scaled[..., 2:], LONGEST_SIDE)) * anchors[:, 2:]
    return to_corners(scaled[..., :2] * anchors[:, 2:] + anchors[:, :2], sizes)


DECODERS: dict[Decoder, Callable[[Doubles, Detection], Doubles]] = {
    "corners": _decode_corners,
    "center_size": _decode_center_size,
    "ssd": _decode_ssd,
}


def to_corners(centers: Doubles, sizes: Doubles) -> Doubles:
    """Return boxes, (…, 4), of these centres and sizes, both (…, 2)."""
    return np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)


def compute_probabilities(scores: Array, detection: Detection) -> Array:
    """Return the probability of each class, (samples, candidates, classes), of all scores, whose activation is told."""
    first = int(detection.objectness)
    objectness, classes = scores[..., :first], scores[..., first:]
    if detection.activation == "sigmoid":
        objectness, classes = numerics.sigmoid(objectness), numerics.sigmoid(classes)
    elif detection.activation == "softmax":
        shape = classes.shape
        classes = numerics.softmax(classes.reshape(-1, shape[-1])).reshape(shape)
        objectness = numerics.sigmoid(objectness)
    classes = classes[..., int(detection.background) :]
    return classes * objectness if first else classes


Found: TypeAlias = tuple[Doubles, Doubles, Integers]  # of one image: boxes, scores and classes, the best score first


def _select_candidates(boxes: Doubles, probabilities: Array, threshold: float) -> Found:
    """Of one image: the box of each class whose probability is above the threshold; the best `MOST_CANDIDATES`."""
    chosen = np.flatnonzero(probabilities > threshold)
    scores = probabilities.ravel()[chosen].astype(np.float64)
    if len(chosen) > MOST_CANDIDATES:
        best = np.sort(np.argpartition(-scores, MOST_CANDIDATES)[:MOST_CANDIDATES])
        chosen, scores = chosen[best], scores[best]
    order = np.argsort(-scores, kind="stable")
    candidates, classes = np.divmod(chosen[order], probabilities.shape[-1])
    return boxes[candidates], scores[order], classes.astype(np.int64)


def _suppress_each(candidates: list[Found], iou_threshold: float) -> list[Found]:
    """Those of each image that are kept. Images with about as many candidates are worked on at once."""
    counts = np.array([len(scores) for _, scores, _ in candidates], np.int64)
    kept: list[Found] = list(candidates)
    for group in _group_by_size(counts, counts):
        boxes, classes = _pad([candidates[i][0] for i in group]), _pad([candidates[i][2] for i in group], PADDING)
        positions = suppress_overlaps(boxes, classes, iou_threshold)
        for number, row in zip(group, positions, strict=True):
            chosen = row[row >= 0]
            kept[number] = tuple(each[chosen] for each in candidates[number])
    return kept


def _group_by_size(sizes: Integers, values: Integers) -> Iterator[Integers]:
    """Yield the positions of all that isn't empty in groups of similar sizes, whose `values` fit into a block."""
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    start = 0
    while start < len(order):
        most = np.maximum.accumulate(values[order[start:]]) * np.arange(1, len(order) - start + 1)
        end = start + max(1, int(np.searchsorted(most, BLOCK, side="right")))
        yield order[start:end]
        start = end


def _pad(arrays: Sequence[Array], fill: float = 0) -> Array:
    """One array of several that differ in the length of their first axis."""
    padded = np.full((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), fill, arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded


def suppress_overlaps(boxes: Doubles, classes: Integers, iou_threshold: float, most: int = MOST_DETECTIONS) -> Integers:
    """Return which boxes of each image are kept, (images, most), the best first, -1 where there are no more.

    Parameters
    ----------
    boxes : (images, candidates, 4)
        The highest score first.
    classes : (images, candidates)
        -1 for padding.
    iou_threshold : float
        Greedy: a box is left out that overlaps a kept one of its class by more than this.
    """
    corners = np.ascontiguousarray(np.moveaxis(boxes, -1, 0))
    alive, rows = classes != PADDING, np.arange(len(boxes))
    kept = np.full((len(boxes), most), -1, np.int64)
    for step in range(most):
        best = alive.argmax(axis=1)  # the first one that is left has the highest score
        left = alive[rows, best]
        if not left.any():
            break
        kept[left, step] = best[left]
        overlap = compute_iou(corners[:, rows, best][..., None], corners)
        alive &= (overlap <= iou_threshold) | np.isnan(overlap) | (classes != classes[rows, best][:, None])
        alive[rows, best] = False
    return kept


def compute_iou(first: Doubles, second: Doubles) -> Doubles:
    """Return the intersection over union of boxes, both (4, …), which may be broadcast; 0 of two without an area."""
    with np.errstate(all="ignore"):
        width = np.minimum(first[2], second[2]) - np.maximum(first[0], second[0])
        height = np.minimum(first[3], second[3]) - np.maximum(first[1], second[1])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
        union = areas[0] + areas[1] - common
        return np.asarray(common / np.where(union > 0, union, np.inf))


def _join(parts: list[Found]) -> Detections:
    if not parts:
        return Detections(0, np.zeros(0, np.int64), np.zeros((0, SIDES)), np.zeros(0), np.zeros(0, np.int64))
    boxes, scores, classes = (np.concatenate(each) for each in zip(*parts, strict=True))
    images = np.repeat(np.arange(len(parts)), [len(part[1]) for part in parts])
    return Detections(len(parts), images, boxes, scores, classes)


def count_objects(labels: Array) -> Integers:
    """Return how many objects of each class the labels have, (classes,)."""
    numbers = labels[..., SIDES]
    return np.bincount(numbers[numbers != PADDING].astype(np.int64))


def match_detections(detections: Detections, labels: Array, thresholds: ArrayLike = IOU_THRESHOLDS) -> Flags:
    """Return which detections are right, (detections, thresholds), as COCO's evaluation does.

    In each image, each class and for each threshold of the IoU: the detection with the highest score takes the object
    that it overlaps most, if by at least the threshold, of equal ones the last; the next takes of those that are left.
    `labels` are (samples, most objects, 5).
    """
    limits = np.minimum(np.asarray(thresholds, np.float64), EXACT)
    hits = np.zeros((len(detections.scores), len(limits)), np.bool_)
    images, positions = np.nonzero(labels[..., SIDES] != PADDING)
    objects = labels[images, positions].astype(np.float64)
    most = 1 + int(max(detections.classes.max(initial=0), objects[:, SIDES].max(initial=0)))
    object_keys = images * most + objects[:, SIDES].astype(np.int64)
    keys = detections.images * most + detections.classes
    found = [_group_equal(keys), _group_equal(object_keys)]
    common = sorted(found[0].keys() & found[1].keys())
    pairs = [(found[0][key], found[1][key]) for key in common]
    taken, given = (np.array([len(pair[side]) for pair in pairs], np.int64) for side in (0, 1))
    for group in _group_by_size(given, given * np.maximum(taken, len(limits))):
        ordered = group[np.argsort(-taken[group], kind="stable")]
        chosen = [pairs[number] for number in ordered]
        boxes = _pad([detections.boxes[own] for own, _ in chosen])
        objects_there = _pad([objects[other, :SIDES] for _, other in chosen], np.nan)
        right = _match_group(boxes, objects_there, taken[ordered], limits)
        for (own, _), flags in zip(chosen, right, strict=True):
            hits[own] = flags[: len(own)]
    return hits


def _group_equal(keys: Integers) -> dict[int, Integers]:
    """The positions of each key, in order."""
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(keys[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=bool(len(keys))))


def _match_group(boxes: Doubles, objects: Doubles, counts: Integers, limits: Doubles) -> Flags:
    """(groups, detections, thresholds) of `boxes` (groups, detections, 4) and `objects` (groups, objects, 4).

    `counts` is how many of a group's boxes are none of the padding, the largest first. Objects of NaN are padding.
    """
    corners = [np.moveaxis(each, -1, 0) for each in (boxes, objects)]
    overlap = np.nan_to_num(compute_iou(corners[0][:, :, :, None], corners[1][:, :, None, :]), nan=-1.0)
    free = np.ones((len(boxes), len(limits), objects.shape[1]), np.bool_)
    hits = np.zeros((*boxes.shape[:2], len(limits)), np.bool_)
    last = objects.shape[1] - 1
    for step in range(boxes.shape[1]):
        active = int(np.searchsorted(-counts, -step, side="left"))  # the groups that have so many
        left = np.where(free[:active], overlap[:active, step, None, :], -1.0)
        best = last - left[..., ::-1].argmax(axis=-1)  # of equal ones the last
        right = np.take_along_axis(left, best[..., None], axis=-1)[..., 0] >= limits
        hits[:active, step] = right
        rows, columns = np.nonzero(right)
        free[rows, columns, best[rows, columns]] = False
    return hits


@dataclass(frozen=True, eq=False)
class ClassRanking:
    """The detections of one class in all images, the highest score first, of equal ones that of the first image.

    `images` (detections,) has their images, `hits` (detections, thresholds) which are right, `objects` (samples,) how
    many objects of the class each image has.
    """

    images: Integers
    hits: Flags
    objects: Integers


def rank_detections(detections: Detections, labels: Array) -> list[ClassRanking]:
    """Return the ranking of each class that has objects, for `IOU_THRESHOLDS`."""
    hits = match_detections(detections, labels)
    rankings = []
    for number in np.unique(labels[..., SIDES]):
        if number == PADDING:
            continue
        own = np.flatnonzero(detections.classes == number)
        order = own[np.argsort(-detections.scores[own], kind="stable")]
        objects = (labels[..., SIDES] == number).sum(axis=1).astype(np.int64)
        rankings.append(ClassRanking(detections.images[order], hits[order], objects))
    return rankings


def average_precision(hits: Flags, objects: float, weights: Doubles | None = None) -> Doubles:
    """Return COCO's average precision of one class, 0 to 1, for each threshold of the IoU, (thresholds,).

    It is the mean over 101 levels of recall of the highest precision at that recall or a higher one. `hits` is
    (detections, thresholds), the highest score first; `objects`, above 0, is how many there are to be found. `weights`
    says how often each detection counts, (detections,).
    """
    counted = np.ones(len(hits)) if weights is None else weights
    right, seen = np.cumsum(hits * counted[:, None], axis=0), np.cumsum(counted)[:, None]
    precision = right / np.where(seen > 0, seen, 1)
    highest = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    highest = np.concatenate([highest, np.zeros((1, hits.shape[1]))])  # of a recall that is not reached
    columns = zip(right.T / objects, highest.T, strict=True)
    return np.array([column[np.searchsorted(recall, RECALL_LEVELS)].mean() for recall, column in columns])


def compute_map(rankings: Sequence[ClassRanking], weights: Doubles | None = None) -> float:
    """Return COCO's mean average precision, 0 to 1: over the classes that have objects and the thresholds of the IoU.

    `weights` says how often each image counts, (samples,). 0 where there are no objects.
    """
    precisions = []
    for one in rankings:
        objects = float(one.objects.sum() if weights is None else one.objects @ weights)
        if objects:
            precisions.append(average_precision(one.hits, objects, None if weights is None else weights[one.images]))
    return float(np.mean(precisions)) if precisions else 0.0


def coco_map(detections: Detections, labels: Array) -> float:
    """Return COCO's mean average precision, 0 to 1; 0 where there are no objects."""
    return compute_map(rank_detections(detections, labels))


def rank_joined(
    detection: Detection, joined: Array, labels: Array, reference: Array | None = None, classes: int = 0
) -> list[ClassRanking]:
    """Return the rankings of what `join_outputs` gave. `reference`, the float model's, tells what the scores are.

    CrossquantError where outputs and labels don't fit each other.
    """
    check_outputs(detection, (joined,), labels, classes)
    settled = settle_activation(detection, (joined if reference is None else reference,), classes)
    return rank_detections(decode_outputs(settled, (joined,), classes), labels)
