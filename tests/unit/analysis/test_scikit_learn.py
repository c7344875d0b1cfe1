"""Metrics against those of scikit-learn: with ties, without some of the classes, and of one sample."""

import warnings

import numpy as np
import pytest
from sklearn import metrics
from sklearn.neighbors import NearestNeighbors

from driver.analysis import bootstrap
from driver.analysis.evaluation import Answer, Truth
from driver.analysis.tasks import classification
from shared import embeddings, tasks
from shared.data.samples import About

CLASSES = 6
SIZES = (1, 2, 40, 300)


def draw(samples, seed=0):
    """Labels without the classes 1 and 4, and outputs on a coarse grid: several classes are the highest."""
    random = np.random.default_rng(seed + samples)
    labels = random.choice([0, 2, 3, 5], samples, p=[0.7, 0.15, 0.1, 0.05])
    outputs = np.round(random.normal(size=(samples, CLASSES)) + 1.5 * np.eye(CLASSES)[labels])
    return outputs.astype(np.float32), labels


def make_answer(outputs, labels, class_weights):
    return Answer(Truth(About(class_weights=class_weights), labels), outputs)


def balanced_accuracy(labels, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that is answered, and is no label
        return metrics.balanced_accuracy_score(labels, predicted)


@pytest.mark.parametrize("samples", SIZES)
def test_balanced_accuracy(samples):
    outputs, labels = draw(samples)
    own = make_answer(outputs, labels, "balanced")
    expected = balanced_accuracy(labels, own.top)
    assert own.value == pytest.approx(expected)
    assert tasks.score_outputs(own.about, outputs, labels, None) == pytest.approx(expected)


@pytest.mark.parametrize("samples", SIZES)
def test_accuracy_with_weights_of_the_classes(samples):
    outputs, labels = draw(samples)
    weights = (1.0, 9.0, 2.0, 0.0, 1.0, 4.5)
    own = make_answer(outputs, labels, weights)
    drawn = np.array(weights)[labels]
    expected = metrics.accuracy_score(labels, own.top, sample_weight=drawn) if drawn.any() else np.nan
    assert own.value == pytest.approx(expected, nan_ok=True)
    assert tasks.score_outputs(own.about, outputs, labels, None) == pytest.approx(np.nan_to_num(expected))


@pytest.mark.parametrize("class_weights", ["balanced", (1.0, 9.0, 2.0, 0.5, 1.0, 4.5)])
def test_a_resample_is_what_is_computed_of_the_samples_drawn(class_weights):
    """Of few samples, so that some resamples lack a class."""
    outputs, labels = draw(30)
    own = make_answer(outputs, labels, class_weights)
    metric = classification.compute(own)["weighted_accuracy"]
    weights = next(bootstrap.iterate_weights(len(labels)))[:, :200]
    for column in range(200):
        drawn = np.repeat(np.arange(len(labels)), weights[:, column].astype(np.int64))
        if class_weights == "balanced":
            expected = balanced_accuracy(labels[drawn], own.top[drawn])
        else:
            by_sample = np.array(class_weights)[labels[drawn]]
            expected = metrics.accuracy_score(labels[drawn], own.top[drawn], sample_weight=by_sample)
        assert metric(weights[:, column : column + 1])[0] == pytest.approx(expected)


@pytest.mark.parametrize("samples", [12, 300])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_recalls_of_nearest_neighbours(samples, k):
    random = np.random.default_rng(samples)
    labels = random.integers(0, samples // 4, samples)
    outputs = random.normal(size=(samples, 5)) + random.normal(size=(samples, 5))[labels]
    found = NearestNeighbors(n_neighbors=k, metric="cosine").fit(outputs).kneighbors(return_distance=False)
    hits = (labels[found] == labels[:, None]).any(axis=1)
    queries = embeddings.find_queries(labels)
    assert (embeddings.rank_nearest_mates(outputs, labels) < k).tolist() == hits[queries].tolist()
