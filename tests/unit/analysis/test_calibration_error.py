"""The expected calibration error: by hand, by its definition, and where a variant's is told to be higher."""

import numpy as np
import pytest

from driver.analysis import calibration_error
from driver.analysis.evaluation import Answer, Truth
from driver.analysis.facts import CalibrationWorse
from shared.data.samples import About


def compute(probabilities, labels, bins=15):
    right = probabilities.argmax(axis=1) == labels
    return calibration_error.compute_calibration_error(probabilities.max(axis=1), right, bins)


def test_calibration_error_by_hand():
    """Of ten bins two are used: 0.9 and 0.8 (one right of two), and 0.6 (right)."""
    probabilities = np.array([[0.85, 0.15], [0.15, 0.85], [0.4, 0.6]])
    expected = (2 * abs(0.5 - 0.85) + abs(1 - 0.6)) / 3
    assert compute(probabilities, np.array([0, 0, 1]), bins=10) == pytest.approx(expected)


def test_calibration_error_by_its_definition():
    random = np.random.default_rng(1)
    probabilities = random.dirichlet([0.3] * 5, 500).astype(np.float32) * random.uniform(0.99, 1.01, (500, 1))
    labels = random.integers(0, 5, 500)
    rows = [(max(row), int(np.argmax(row)) == label) for row, label in zip(probabilities, labels, strict=True)]
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = [(c, right) for c, right in rows if low < c <= low + 1 / 15 or (c > 1 and low == 14 / 15)]
        if inside:
            confidence, accuracy = np.mean([c for c, _ in inside]), np.mean([right for _, right in inside])
            expected += len(inside) / 500 * abs(accuracy - confidence)
    assert compute(probabilities, labels) == pytest.approx(expected)


def test_confidence_at_an_edge_belongs_to_the_bin_below():
    """Float32 0.8 is above 4/5: apart from the 0.9 (wrong) it cancels nothing."""
    probabilities = np.array([[0.8, 0.2], [0.9, 0.1]], np.float32)
    error = compute(probabilities, np.array([0, 1]), bins=5)
    assert error == pytest.approx((0.2 + 0.9) / 2)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.0), (1, 1.0)])
def test_calibration_error_of_one_image_that_is_certain(label, expected):
    assert compute(np.array([[1.0, 0.0]], np.float32), np.array([label])) == expected


@pytest.mark.parametrize("certain", [0.99, 1.01])
def test_rows_that_sum_to_nearly_one_have_a_calibration_error(certain):
    probabilities = np.array([[certain, 0.0]] * 3, np.float32)
    assert compute(probabilities, np.zeros(3, np.uint8)) == pytest.approx(0.01, abs=1e-6)


SAMPLES = 2000


def answer(sure, accuracy=0.9, seed=0):
    """Right in `accuracy` of the samples, and always this sure."""
    labels = np.random.default_rng(1).integers(0, 2, SAMPLES)
    top = np.where(np.random.default_rng(seed).random(SAMPLES) < accuracy, labels, 1 - labels)
    outputs = np.full((SAMPLES, 2), 1 - sure, np.float32)
    outputs[np.arange(SAMPLES), top] = sure
    return Answer(Truth(About(), labels), outputs)


def test_a_variant_that_is_surer_than_it_is_right_is_told():
    own, base = answer(0.99, seed=2), answer(0.91)
    [caveat] = calibration_error.find_increase(own, base)
    errors = [
        calibration_error.compute_calibration_error(each.confidence, each.likeliest == each.classes)
        for each in (own, base)
    ]
    assert caveat == CalibrationWorse(*map(pytest.approx, errors), caveat.low)
    assert 0 < caveat.low < caveat.ece - caveat.reference < 0.1


@pytest.mark.parametrize(
    ("own", "base"),
    [(0.91, 0.91), (0.91, 0.99), (0.915, 0.912)],
    ids=["the-same", "better", "by-too-little-to-matter"],
)
def test_where_it_is_no_worse_nothing_is_told(own, base):
    assert list(calibration_error.find_increase(answer(own), answer(base))) == []


def test_what_may_be_chance_is_not_told():
    """Other answers of as many right ones: both errors are of noise alone."""
    increases = [
        (own, base)
        for seed in range(2, 12)
        for own, base in ((answer(0.905, seed=seed), answer(0.905)),)
        if list(calibration_error.find_increase(own, base))
    ]
    assert len(increases) <= 2


def repeat(one, times):
    """The same samples so many times, each a group."""
    labels, outputs = (np.repeat(array[:200], times, axis=0) for array in (one.labels, one.outputs))
    groups = None if times == 1 else np.repeat(np.arange(200), times)
    return Answer(Truth(About(), labels, groups=groups), outputs)


def test_samples_of_a_group_that_are_alike_count_once():
    own, base = answer(0.99, accuracy=0.7, seed=2), answer(0.91)
    [alone], [grouped] = (
        list(calibration_error.find_increase(repeat(own, times), repeat(base, times))) for times in (1, 10)
    )
    assert (grouped.ece, grouped.reference) == pytest.approx((alone.ece, alone.reference))
    assert grouped.low == pytest.approx(alone.low)
