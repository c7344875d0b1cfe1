"""Made-up detections and objects, and COCO's evaluation written as plainly as possible."""

from collections.abc import Sequence

import numpy as np

from shared.detection import MOST_DETECTIONS, PADDING, Detections, to_corners

THRESHOLDS = np.linspace(0.5, 0.95, 10)


def make_scenes(
    seed: int, images: int = 20, classes: int = 3, most: int = 6, levels: int = 20, empty: bool = True
) -> tuple[Detections, np.ndarray]:
    """Images of 100 by 100 pixels with up to `most` objects, found more or less well, and others that are not there.

    Boxes are whole numbers, so that some overlaps are exactly a threshold; of the scores there are `levels`, so that
    many are equal. `empty`: some images have no objects, some no detections, and the last class no objects at all.
    """
    random = np.random.default_rng(seed)
    labels = np.full((images, most, 5), PADDING, np.float32)
    parts: list[list[tuple[float, ...]]] = []
    for image in range(images):
        count = int(random.integers(0 if empty else 1, most + 1))
        corners, sides = random.integers(0, 60, (count, 2)), random.integers(8, 40, (count, 2))
        numbers = random.integers(0, max(1, classes - empty), count)
        labels[image, :count] = np.concatenate([corners, corners + sides, numbers[:, None]], axis=1)
        found = [
            (*(box[:4] + random.integers(-3, 4, 4)), random.integers(0, levels) / levels + 0.3 * right, box[4])
            for box in labels[image, :count]
            for right in random.random(int(random.integers(0, 3))) < 0.7
        ]
        for _ in range(int(random.integers(0, 5))):
            corner = random.integers(0, 60, 2)
            box = (*corner, *(corner + random.integers(1, 40, 2)))
            found.append((*box, random.integers(0, levels) / levels, random.integers(0, classes)))
        parts.append([] if empty and image % 7 == 3 else sorted(found, key=lambda row: -row[4]))
    return join(parts), labels


def join(parts: Sequence[Sequence[tuple[float, ...]]]) -> Detections:
    """Of each image a list of (x1, y1, x2, y2, score, class)."""
    rows = np.array([row for part in parts for row in part], np.float64).reshape(-1, 6)
    images = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Detections(len(parts), images, rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def take(detections: Detections, labels: np.ndarray, indices: np.ndarray) -> tuple[Detections, np.ndarray]:
    """The images of these indices, which may be repeated, as images of their own."""
    own = [np.flatnonzero(detections.images == index) for index in indices]
    chosen = np.concatenate(own).astype(np.int64)
    images = np.repeat(np.arange(len(indices)), [len(each) for each in own])
    parts = detections.boxes[chosen], detections.scores[chosen], detections.classes[chosen]
    return Detections(len(indices), images, *parts), labels[indices]


def iou(first: Sequence[float], second: Sequence[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def suppress_plainly(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float, most: int = MOST_DETECTIONS
) -> list[int]:
    """The positions of one image's boxes that are kept, the highest score first."""
    kept: list[int] = []
    for candidate in sorted(range(len(scores)), key=lambda position: -scores[position]):
        rivals = [other for other in kept if classes[other] == classes[candidate]]
        if len(kept) < most and all(iou(boxes[other], boxes[candidate]) <= threshold for other in rivals):
            kept.append(candidate)
    return kept


def make_detector(
    decoder: str, images: int = 60
) -> tuple[tuple[tuple[float, ...], ...], np.ndarray, np.ndarray, np.ndarray]:
    """Anchors (64, 4), raw boxes (images, 64, 4), logits of a background and 3 classes (images, 64, 4), and labels.

    Boxes are shares of the picture, and right where an anchor is near an object, more or less.
    """
    random = np.random.default_rng(3)
    grid = (np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(64, 2) + 0.5) / 8
    anchors = np.concatenate([grid, np.full((64, 2), 0.2)], axis=1)
    labels = np.full((images, 4, 5), -1, np.float32)
    boxes = np.tile(anchors, (images, 1, 1)) + random.normal(0, 0.01, (images, 64, 4))
    scores = random.normal([4, 0, 0, 0], 1, (images, 64, 4))
    for image in range(images):
        for number in range(random.integers(0, 5)):
            center, sides, label = random.uniform(0.2, 0.8, 2), random.uniform(0.1, 0.3, 2), random.integers(0, 3)
            labels[image, number] = [*(center - sides / 2), *(center + sides / 2), label]
            near = np.abs(grid - center).max(axis=1) < 0.1
            boxes[image, near] = random.normal([*center, *sides], 0.008, (near.sum(), 4))
            scores[image, near, 1 + label] += random.normal(6, 2)
    if decoder == "ssd":
        boxes[..., :2] = (boxes[..., :2] - anchors[:, :2]) / anchors[:, 2:] / 0.1
        boxes[..., 2:] = np.log(np.maximum(boxes[..., 2:], 0.01) / anchors[:, 2:]) / 0.2
    elif decoder == "corners":
        boxes = to_corners(boxes[..., :2], boxes[..., 2:])
    return tuple(map(tuple, anchors.tolist())), boxes.astype(np.float32), scores.astype(np.float32), labels
