"""Classes by position, against brute force and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from shared import positions, tasks
from shared.data.samples import IGNORED, About
from shared.errors import CrossquantError


def draw(samples=7, shape=(5, 4), classes=4, seed=0):
    """Outputs with ties, (samples, …, classes), and labels, some of which don't count; the last class is nowhere."""
    random = np.random.default_rng(seed)
    outputs = random.integers(0, 4, (samples, *shape, classes)).astype(np.float32)
    labels = random.integers(IGNORED, classes - 1, (samples, *shape)).astype(np.int8)
    outputs[..., -1] = -1
    return outputs, labels


@pytest.mark.parametrize(
    ("outputs", "labels", "axis"),
    [
        ((9, 5, 4, 3), (9, 5, 4), 3),
        ((9, 3, 5, 4), (9, 5, 4), 1),
        ((9, 6, 3), (9, 6), 2),
        ((9, 4, 4, 4), (9, 4, 4), 3),
        ((9, 5, 4, 1), (9, 5, 4), None),
        ((9, 5, 4), (9, 5, 4), None),
        ((9, 1, 5, 4), (9, 5, 4), None),
    ],
)
def test_where_the_classes_are(outputs, labels, axis):
    assert positions.find_class_axis(outputs, labels) == axis


@pytest.mark.parametrize("outputs", [(9, 5, 3), (9, 5, 5, 3), (9, 60), (8, 5, 4, 3)])
def test_outputs_that_are_not_of_these_positions(outputs):
    with pytest.raises(CrossquantError, match="a value for each class at each position"):
        positions.find_class_axis(outputs, (9, 5, 4))


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
def test_counts_are_those_of_each_sample(first):
    outputs, labels = draw()
    counts = positions.count_positions(np.moveaxis(outputs, -1, 1) if first else outputs, labels)
    answered = outputs.argmax(axis=-1)
    for sample in range(len(labels)):
        for label in range(4):
            there, named = labels[sample] == label, (answered[sample] == label) & (labels[sample] != IGNORED)
            assert counts.labelled[sample, label] == there.sum()
            assert counts.answered[sample, label] == named.sum()
            assert counts.right[sample, label] == (there & named).sum()


@pytest.mark.parametrize("values", ["probabilities", "logits"])
@pytest.mark.parametrize("axes", [(), (1,)])
def test_a_single_value_is_of_the_second_of_two_classes(values, axes):
    probabilities = np.array([[[0.2, 0.5], [0.51, 0.9]]], np.float32)
    outputs = probabilities if values == "probabilities" else 20 * (probabilities - 0.5)
    counts = positions.count_positions(outputs.reshape(1, 2, 2, *axes), np.array([[[0, 1], [1, 1]]]))
    assert counts.right.tolist() == [[1, 2]]
    assert counts.answered.tolist() == [[2, 2]]


@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_scikit_learn_s(samples, seed):
    outputs, labels = draw(samples, seed=seed)
    counts = positions.count_positions(outputs, labels)
    counted = labels != IGNORED
    flat = labels[counted], outputs.argmax(axis=-1)[counted]
    for function, reference in ((positions.intersection_over_union, jaccard_score), (positions.f1_scores, f1_score)):
        values = counts.summarize(function)
        assert values[-1] is None, "a class that neither labels nor answers have"
        assert values[:-1] == pytest.approx(reference(*flat, labels=range(3), average=None))
    miou = jaccard_score(*flat, labels=range(3), average="macro")
    assert tasks.score_outputs(About(task="segmentation"), outputs, labels, None) == pytest.approx(miou)
    share = (flat[0] == flat[1]).mean()
    assert tasks.score_outputs(About(task="tagging"), outputs, labels, None) == pytest.approx(share)


def test_labels_that_are_no_classes():
    outputs, labels = draw()
    labels[3, 2, 1] = 4
    with pytest.raises(CrossquantError, match="labels from -1 to 4, but the model answers 4 classes at each position"):
        positions.count_positions(outputs, labels)


def test_blocks_change_nothing(monkeypatch):
    outputs, labels = draw(samples=20)
    whole = positions.count_positions(outputs, labels)
    monkeypatch.setattr("shared.numerics.BLOCK_VALUES", 100)
    assert np.array_equal(positions.count_positions(outputs, labels).right, whole.right)


def test_one_value_beyond_one_makes_no_logits_of_what_the_reference_has_as_probabilities():
    labels = np.array([[[0, 1], [1, 1]]])
    outputs = np.array([[[0.2, 0.6], [1.02, 0.9]]], np.float32)
    assert positions.count_positions(outputs, labels).right.tolist() == [[0, 3]]
    assert positions.count_positions(outputs, labels, logits=False).right.tolist() == [[1, 3]]
