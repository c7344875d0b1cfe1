"""What stages know of a task: probabilities, scores, and broken answers."""

import numpy as np
import pytest
from scipy.stats import binom

from shared import detection, numerics, tasks
from shared.data import samples
from shared.data.samples import About
from shared.detector_outputs import Detection
from shared.errors import CrossquantError

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-900.0, 900.0, 0.0]], np.float32)
RANDOM = np.random.default_rng(0)


def test_a_softmax_of_logits():
    probabilities = numerics.class_probabilities(LOGITS)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert probabilities[0] == pytest.approx(np.exp([2, -1, 0.5]) / np.exp([2, -1, 0.5]).sum(), rel=1e-5)
    assert probabilities[2].tolist() == [0.0, 1.0, 0.0]


def test_probabilities_stay_as_they_are():
    """Also those that sum to 1 only nearly, as eight bits do, or not at all, as a sigmoid for each class."""
    rows = np.array([[0.25, 0.7], [0.9, 0.8]], np.float32)
    assert numerics.class_probabilities(rows) is not None
    assert (numerics.class_probabilities(rows) == rows).all()


def test_one_column_is_the_second_of_two_classes():
    probabilities = numerics.class_probabilities(np.array([[0.25], [1.0]], np.float32))
    assert probabilities.tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert numerics.class_probabilities(np.array([[0.0], [-800.0], [800.0]]))[:, 1].tolist() == [0.5, 0.0, 1.0]
    assert numerics.top_classes(np.array([0.2, 0.7])).tolist() == [0, 1]
    assert numerics.top_classes(np.array([[-3.0], [0.2]])).tolist() == [0, 1]


def test_the_float_model_determines_what_outputs_are():
    """Quantized logits of a weak model may all lie between 0 and 1."""
    assert numerics.top_classes(np.array([[0.3], [0.7]]), logits=True).tolist() == [1, 1]
    assert numerics.class_probabilities(np.array([[0.1, 0.9]]), logits=True)[0, 1] == pytest.approx(
        1 / (1 + np.exp(-0.8))
    )


def test_outputs_of_any_rank_are_rows():
    assert numerics.class_probabilities(LOGITS.reshape(3, 1, 1, 3)).shape == (3, 3)


def test_the_score_of_classes():
    labels = np.array([0, 2, 1], np.int64)
    assert tasks.score_outputs(About(), LOGITS, labels, None) == pytest.approx(2 / 3)


def test_the_score_of_a_regression():
    exact = RANDOM.normal(size=(50, 2))
    about = About(task="regression")
    assert tasks.score_outputs(about, exact, exact, None) == 1.0
    assert tasks.score_outputs(about, np.broadcast_to(exact.mean(axis=0), exact.shape), exact, None) == pytest.approx(0)
    assert tasks.score_outputs(about, exact[:, :1, None], exact[:, 0], None) == 1.0, "whatever the rank"


def test_the_score_of_labels():
    positive = RANDOM.random((50, 4)) < 0.4
    assert tasks.score_outputs(About(task="multilabel"), positive * 1.0, positive.astype(np.uint8), None) == 1.0


def test_the_score_of_a_reconstruction():
    """Bytes as they are stored; the channels may be elsewhere than the model puts them, not their number."""
    inputs = RANDOM.integers(0, 256, (20, 4, 3), np.uint8)
    about = About(task="reconstruction")
    assert tasks.score_outputs(about, inputs.astype(np.float32), None, inputs) == 1.0
    mean = np.full(inputs.shape, inputs.mean())
    assert tasks.score_outputs(about, mean, None, inputs) == pytest.approx(0, abs=1e-9)
    noisy = inputs + RANDOM.normal(0, 5, inputs.shape)
    expected = 1 - np.square(noisy - inputs).mean() / inputs.var()
    assert tasks.score_outputs(about, noisy, np.zeros(20), inputs) == pytest.approx(expected)


def test_the_score_of_what_has_no_labels_is_its_agreement():
    reference = RANDOM.normal(size=(30, 2, 2))
    about = About(task="fidelity")
    far = reference.copy()
    far[0] += 1
    assert tasks.score_outputs(about, reference, None, reference) == 1.0
    assert tasks.score_outputs(about, far, None, reference) == pytest.approx(29 / 30)
    assert tasks.score_outputs(About(), LOGITS[[0, 0, 2]], None, LOGITS[[0, 2, 2]]) == pytest.approx(2 / 3)


def test_values_agree_within_a_twentieth_of_the_deviation():
    reference = np.array([[0.0], [2.0]])
    assert numerics.standard_deviation(reference) == 1.0
    for by, expected in ((0.049, 1.0), (0.051, 0.5)):
        agreement = tasks.measure_agreement(About(task="fidelity"), reference + np.array([[0.0], [by]]), reference)
        assert agreement.mean() == expected


def test_classes_agree_by_their_top_one():
    """Where rows are probabilities, or classes have names."""
    rows = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert tasks.is_compared_by_class(About(task="fidelity"), rows)
    assert not tasks.is_compared_by_class(About(task="fidelity"), 5 * rows)
    assert tasks.is_compared_by_class(About(task="fidelity", classes=("a", "b")), 5 * rows)
    assert not tasks.is_compared_by_class(About(task="fidelity"), rows[:, :1])
    assert tasks.measure_agreement(About(task="fidelity"), rows[::-1], rows).tolist() == [0.0, 0.0]


def test_what_is_read_in_blocks_is_the_same(monkeypatch):
    inputs, outputs = RANDOM.normal(size=(2, 33, 5))
    whole = numerics.explained_variance(outputs, inputs), numerics.standard_deviation(inputs)
    monkeypatch.setattr(numerics, "BLOCK_VALUES", 12)
    assert [len(block) for block in numerics.iterate_blocks(inputs)][:2] == [2, 2]
    assert (numerics.explained_variance(outputs, inputs), numerics.standard_deviation(inputs)) == pytest.approx(whole)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_labels_of_another_shape_are_an_error(task):
    with pytest.raises(CrossquantError, match=r"^labels of \(4, 3\) and outputs of \(4, 2\): a sample must have"):
        tasks.score_outputs(About(task=task), np.zeros((4, 2)), np.zeros((4, 3)), None)


def test_a_reconstruction_of_another_size_is_an_error():
    with pytest.raises(CrossquantError, match=r"^inputs of \(4, 3\) and outputs of \(4, 2\)"):
        tasks.score_outputs(About(task="reconstruction"), np.zeros((4, 2)), None, np.zeros((4, 3)))


def test_answers_at_chance_are_broken():
    outputs = np.eye(10)[np.arange(100) % 10]
    assert tasks.find_defect(outputs, 0.1) == "answers no better than chance: 10.00% with 10 classes"
    assert tasks.find_defect(outputs, 1.0) == ""
    half = (np.arange(100) % 2)[:, None] * 1.0
    assert tasks.find_defect(half, 0.5) == "answers no better than chance: 50.00% with 2 classes"


def probability_maps(*shape: int) -> np.ndarray:
    """Maps (samples, height, width, classes) in which every pixel's probabilities sum to 1."""
    powers = np.exp(np.random.default_rng(0).normal(size=shape))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
def test_of_maps_of_classes_the_share_of_the_pixels_agrees(first: bool):
    reference = probability_maps(4, 5, 6, 3)
    outputs = reference * 0.9 + 0.1 / 3  # every value differs, no class does
    outputs[1, 0, :3] = np.roll(outputs[1, 0, :3], 1, axis=-1)
    if first:
        reference, outputs = (np.moveaxis(array, -1, 1) for array in (reference, outputs))
    expected = [1.0, 1 - 3 / 30, 1.0, 1.0]
    np.testing.assert_allclose(tasks.measure_agreement(About(task="fidelity"), outputs, reference), expected)


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6)])
def test_of_masks_the_share_of_the_pixels_on_the_same_side_agrees(shape: tuple[int, ...]):
    reference = np.random.default_rng(0).random(shape, np.float32)
    outputs = 0.5 + (reference - 0.5) * 0.8
    outputs[2, 0, 0] = 1 - reference[2, 0, 0]
    agreement = tasks.measure_agreement(About(task="fidelity"), outputs, reference)
    np.testing.assert_allclose(agreement, [1.0, 1.0, 1 - 1 / 30, 1.0])


def test_maps_of_other_values_agree_where_they_are_near():
    reference = 5 * np.random.default_rng(0).normal(size=(4, 5, 6, 3))
    assert tasks.measure_agreement(About(task="fidelity"), reference + 0.01, reference).tolist() == [1.0] * 4
    assert tasks.measure_agreement(About(task="fidelity"), reference + 1.0, reference).tolist() == [0.0] * 4


@pytest.mark.parametrize(("classes", "samples"), [(10, 900), (10, 10_000), (2, 100), (10, 200), (1000, 5000)])
def test_chance_ends_where_the_exact_test_says(classes: int, samples: int):
    least = int(binom.isf(0.01, samples, 1 / classes)) + 1
    assert tasks.is_at_chance((least - 1) / samples, classes, samples)
    assert not tasks.is_at_chance(least / samples, classes, samples)


@pytest.mark.parametrize(
    ("accuracy", "classes", "samples"), [(1.0, 2, 8), (0.75, 2, 8), (1.0, 2, 4), (0.5, 2, 20), (1, 10, 3)]
)
def test_of_few_samples_nothing_is_said(accuracy: float, classes: int, samples: int):
    assert tasks.describe_chance(accuracy, classes, samples) == ""


@pytest.mark.parametrize(("accuracy", "classes", "samples"), [(0.0, 4, 100), (0.0, 2, 8), (0.3, 2, 100), (0.2, 4, 500)])
def test_an_accuracy_below_chance_is_called_that(accuracy: float, classes: int, samples: int):
    assert tasks.describe_chance(accuracy, classes, samples) == (
        f"answers worse than chance: {accuracy:.2%} with {classes} classes: are labels or inputs in another order than "
        "the model's?"
    )


@pytest.mark.parametrize(("trials", "probability"), [(1, 0.5), (8, 0.5), (100, 0.1), (50_000, 0.001), (10_000, 0.9)])
def test_the_binomial_tail_is_that_of_scipy(trials: int, probability: float):
    expected = binom.sf(np.arange(trials + 1) - 1, trials, probability)
    np.testing.assert_allclose(numerics.binomial_tail(trials, probability), expected, rtol=1e-9, atol=1e-12)


def test_the_same_answer_to_every_sample_is_broken():
    outputs = np.tile(np.array([[0.25, 4.0]], np.float32), (9, 1))
    assert tasks.find_defect(outputs) == "the same answer to every sample"
    assert tasks.find_defect(outputs[:1]) == "", "of a single sample nothing is known"
    outputs[5, 1] += 1
    assert tasks.find_defect(outputs) == ""


def test_the_score_of_a_detector():
    """Boxes and scores are one array, as `select_evaluated` gives them; samples may be drawn several times."""
    boxes = RANDOM.uniform(0, 40, (30, 6, 2))
    boxes = np.concatenate([boxes, boxes + RANDOM.uniform(5, 50, (30, 6, 2))], axis=2)
    labels = np.concatenate([boxes[:, :2], RANDOM.integers(0, 3, (30, 2, 1))], axis=2).astype(np.float32)
    about = About(task="detection", detection=Detection(scores=1))
    scores = RANDOM.normal(0, 2, (30, 6, 3))
    np.put_along_axis(scores[:, :2], labels[..., 4:].astype(int), 3.0, axis=2)
    outputs = samples.select_evaluated((boxes, scores), about)
    assert outputs.shape == (30, 6, 7)
    found = detection.decode_outputs(Detection(), (boxes, scores))
    expected = detection.coco_map(found, labels)
    assert 0.3 < expected < 1
    assert tasks.score_outputs(about, outputs, labels, outputs) == expected
    assert tasks.describe_score(about, labels) == "COCO mAP"
    prepared = tasks.prepare_score(about, outputs, labels, None)
    where = np.sort(RANDOM.integers(0, 30, 30))
    assert prepared(np.arange(30)) == pytest.approx(expected)
    assert prepared(where) == pytest.approx(tasks.score_outputs(about, outputs[where], labels[where], None))


def test_other_scores_of_drawn_samples():
    labels = np.array([0, 2, 1], np.int64)
    where = np.array([0, 0, 2])
    assert tasks.prepare_score(About(), LOGITS, labels, None)(where) == pytest.approx(1.0)
