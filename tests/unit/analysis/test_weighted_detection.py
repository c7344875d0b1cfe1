"""COCO's average precision of weighted images: on drawn images, its influence values, and its bounds by simulation."""

import math

import numpy as np
import pytest
from detections import join, make_scenes, take

from driver.analysis import bootstrap, weighted_detection
from driver.analysis.bootstrap import Statistic
from shared import detection

UNIQUE = 10**9  # levels of scores: no two are equal


def make_metric(detections, labels, thresholds=None):
    rankings = detection.rank_detections(detections, labels)
    return weighted_detection.mean_average_precision(rankings, len(labels), thresholds)


def compute_map50(detections, labels):
    rankings = detection.rank_detections(detections, labels)
    return np.mean([detection.average_precision(one.hits, int(one.objects.sum()))[0] for one in rankings])


def draw(samples, draws=20, seed=7):
    """Indices, (draws, samples), sorted as weights have them: of equal scores the first image comes first."""
    return np.sort(np.random.default_rng(seed).integers(0, samples, (draws, samples)), axis=1)


def count(indices):
    return np.stack([np.bincount(each, minlength=len(each)) for each in indices], axis=1).astype(np.float64)


@pytest.mark.parametrize("seed", range(6))
def test_the_value_is_that_of_all_images(seed):
    """With equal scores, images without objects or detections, and one class without objects."""
    detections, labels = make_scenes(seed, images=(1, 30, 300)[seed % 3], levels=(3, UNIQUE)[seed % 2], empty=seed > 2)
    once = np.ones((len(labels), 1))
    value = make_metric(detections, labels)(once)[0]
    assert value == pytest.approx(detection.coco_map(detections, labels), abs=1e-12)
    assert make_metric(detections, labels, 1)(once)[0] == pytest.approx(compute_map50(detections, labels), abs=1e-12)


@pytest.mark.parametrize(("seed", "images"), [(0, 5), (1, 30), (2, 60), (3, 200)])
def test_resamples_are_the_drawn_images(seed, images, monkeypatch):
    """In blocks of resamples and at once."""
    monkeypatch.setattr(weighted_detection, "BLOCK", (1 << 16, 100)[seed % 2])
    detections, labels = make_scenes(seed, images=images, levels=UNIQUE, empty=images > 5)
    indices = draw(images)
    expected = [detection.coco_map(*take(detections, labels, each)) for each in indices]
    assert make_metric(detections, labels)(count(indices)) == pytest.approx(expected, abs=1e-12)
    expected = [compute_map50(*take(detections, labels, each)) for each in indices]
    assert make_metric(detections, labels, 1)(count(indices)) == pytest.approx(expected, abs=1e-12)


def test_equal_scores_of_several_images():
    """One detection an image, all of one score: the first image comes first."""
    random = np.random.default_rng(5)
    labels = np.tile(np.array([0, 0, 8, 8, 0], np.float32), (40, 1, 1))
    detections = join([[(0, 0, 8, 8 + 8 * (random.random() < 0.5), 0.5, 0)] for _ in labels])
    indices = draw(40)
    expected = [detection.coco_map(*take(detections, labels, each)) for each in indices]
    assert make_metric(detections, labels)(count(indices)) == pytest.approx(expected, abs=1e-12)


def test_a_resample_without_objects_tells_nothing():
    labels = np.array([[[0, 0, 8, 8, 0]], [[0, 0, 0, 0, -1]]], np.float32)
    metric = make_metric(join([[(0, 0, 8, 8, 0.9, 0)], [(0, 0, 8, 8, 0.95, 0)]]), labels)
    assert metric(np.array([[1.0, 0.0, 2.0], [1.0, 2.0, 0.0]])) == pytest.approx([0.5, np.nan, 1.0], nan_ok=True)


def test_a_class_that_is_never_found():
    labels = np.array([[[0, 0, 8, 8, 0], [0, 0, 8, 8, 1]], [[0, 0, 8, 8, 0], [0, 0, 0, 0, -1]]], np.float32)
    metric = make_metric(join([[(0, 0, 8, 8, 0.9, 0)], [(0, 0, 8, 8, 0.8, 0)]]), labels)
    assert metric(np.array([[1.0, 0.0], [1.0, 2.0]])) == pytest.approx([0.5, 1.0])
    assert np.isfinite(metric.influence).all()
    nothing = make_metric(join([[], []]), labels)
    assert nothing(np.ones((2, 1))).tolist() == [0.0]
    assert nothing.influence.tolist() == [0.0, 0.0]


def test_levels_of_recall_are_counted_as_searchsorted_does():
    """Also where a level is not the nearest number: the 57th is 0.5700000000000001."""
    for objects in range(1, 400):
        recall = np.arange(objects + 1) / objects
        expected = np.searchsorted(detection.RECALL_LEVELS, recall, "right")
        assert weighted_detection.count_levels(recall).tolist() == expected.tolist()


@pytest.mark.parametrize("thresholds", [None, 1])
@pytest.mark.parametrize("seed", range(3))
def test_influence_values(seed, thresholds):
    """Their mean is 0, and their standard error is near to the spread of the resamples."""
    detections, labels = make_scenes(seed, images=400, levels=UNIQUE)
    metric = make_metric(detections, labels, thresholds)
    assert metric.influence.mean() == pytest.approx(0, abs=1e-12)
    spread = bootstrap.resample({"x": metric}, 400)["x"].std()
    error = math.sqrt(np.square(metric.influence).sum()) / 400
    assert error == pytest.approx(spread, rel=0.12)


def test_influence_is_the_derivative():
    """Of the area under the highest precision, written plainly for weights that are no counts."""
    detections, labels = make_scenes(3, images=80, levels=UNIQUE)
    ranking, step = detection.rank_detections(detections, labels)[0], 1e-6
    metric = weighted_detection.mean_average_precision([ranking], 80)
    weights = np.concatenate([np.ones((80, 1)), np.ones((80, 80)) + step * np.eye(80)], axis=1)
    areas = np.mean([compute_area(ranking, column, weights) for column in ranking.hits.T], axis=0)
    assert metric.influence == pytest.approx((areas[1:] - areas[0]) / step * 80, abs=1e-3)


def compute_area(ranking, right, weights):
    each = weights[ranking.images]
    found, seen = np.cumsum(each * right[:, None], axis=0), np.cumsum(each, axis=0)
    highest = np.maximum.accumulate((found / seen)[::-1], axis=0)[::-1]
    return (highest * each * right[:, None]).sum(axis=0) / (ranking.objects @ weights)


@pytest.mark.slow
@pytest.mark.parametrize("draws", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_bounds_hold_the_value_of_all_images(draws):
    """120 images are drawn of 1,500, again and again. Within noise, and two points more, since images are few."""
    detections, labels = make_scenes(11, images=1500, levels=UNIQUE, empty=False)
    truth, random = detection.coco_map(detections, labels), np.random.default_rng(12)
    below = above = 0
    for _ in range(draws):
        metric = make_metric(*take(detections, labels, random.integers(0, 1500, 120)))
        value, resampled = metric(np.ones((120, 1)))[0], bootstrap.resample({"x": metric}, 120)["x"]
        bound = bootstrap.bound_together([Statistic(value, resampled, metric.influence)], 0.05)[0]
        below, above = below + (truth < bound.low), above + (truth > bound.high)
    noise = 4 * math.sqrt(0.05 * 0.95 / draws)
    assert below / draws == pytest.approx(0.05, abs=noise + 0.02)
    assert above / draws == pytest.approx(0.05, abs=noise + 0.02)
