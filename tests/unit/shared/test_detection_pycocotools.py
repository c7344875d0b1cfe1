"""The metric against COCO's own evaluation."""

import numpy as np
import pytest
from detections import join, make_detector, make_scenes
from pycocotools import coco, cocoeval

from shared import detection
from shared.detection import Detections
from shared.detector_outputs import Detection


def evaluate(detections: Detections, labels: np.ndarray) -> tuple[float, float]:
    """mAP and mAP50 of pycocotools, -1 where no class has objects."""
    classes = 1 + int(max(labels[..., 4].max(), detections.classes.max(initial=0)))
    objects = [(image, row) for image, rows in enumerate(labels) for row in rows if row[4] >= 0]
    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": image + 1} for image in range(len(labels))],
        "categories": [{"id": number + 1} for number in range(classes)],
        "annotations": [
            annotate(image, row[:4], row[4]) | {"id": number + 1, "iscrowd": 0}
            for number, (image, row) in enumerate(objects)
        ],
    }
    truth.createIndex()
    found = coco.COCO()
    found.dataset = {name: truth.dataset[name] for name in ("images", "categories")}
    columns = zip(detections.images, detections.boxes, detections.classes, detections.scores, strict=True)
    found.dataset["annotations"] = [
        annotate(image, box, label) | {"id": number + 1, "score": float(score)}
        for number, (image, box, label, score) in enumerate(columns)
    ]
    found.createIndex()
    evaluation = cocoeval.COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def annotate(image: int, box: np.ndarray, label: float) -> dict[str, object]:
    left, top, right, bottom = (float(value) for value in box)
    sides = right - left, bottom - top
    return {
        "image_id": int(image) + 1,
        "category_id": int(label) + 1,
        "bbox": [left, top, *sides],
        "area": sides[0] * sides[1],
    }


def compute_both(detections: Detections, labels: np.ndarray) -> tuple[float, float]:
    rankings = detection.rank_detections(detections, labels)
    each = np.array([detection.average_precision(one.hits, int(one.objects.sum())) for one in rankings])
    assert detection.coco_map(detections, labels) == pytest.approx(each.mean(), abs=1e-12)
    return float(each.mean()), float(each[:, 0].mean())


@pytest.mark.parametrize("seed", range(12))
def test_random_images(seed):
    """Equal scores, overlaps of exactly a threshold, images without objects or detections, a class without objects."""
    detections, labels = make_scenes(seed, images=int(30 + 10 * seed), levels=(3, 20, 1000)[seed % 3])
    assert compute_both(detections, labels) == pytest.approx(evaluate(detections, labels), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_one_image(seed):
    detections, labels = make_scenes(seed, images=1, classes=2, empty=False)
    assert compute_both(detections, labels) == pytest.approx(evaluate(detections, labels), abs=1e-12)


def test_many_objects_of_one_class():
    """More than 101 objects, so that several are between two levels of recall."""
    detections, labels = make_scenes(1, images=200, classes=1, most=12, empty=False)
    assert compute_both(detections, labels) == pytest.approx(evaluate(detections, labels), abs=1e-12)


def test_no_detections():
    _, labels = make_scenes(2, empty=False)
    nothing = join([[] for _ in labels])
    assert compute_both(nothing, labels) == evaluate(nothing, labels) == (0.0, 0.0)


@pytest.mark.parametrize("decoder", ["corners", "center_size", "ssd"])
def test_a_detector_s_outputs(decoder):
    """From logits with a background at 64 anchors of 60 pictures, which are right near objects, more or less."""
    anchors, boxes, scores, labels = make_detector(decoder)
    options = Detection(decoder, background=True, anchors=anchors if decoder == "ssd" else ())
    found = detection.decode_outputs(options, (boxes, scores))
    assert compute_both(found, labels) == pytest.approx(evaluate(found, labels), abs=1e-12)
    rounded = detection.decode_outputs(options, (boxes, np.round(scores)))
    assert compute_both(rounded, labels) == pytest.approx(evaluate(rounded, labels), abs=1e-12)
    assert 0.3 < detection.coco_map(rounded, labels) < detection.coco_map(found, labels) < 0.9
