"""Figures that can be worked out by hand."""

import numpy as np
import pytest

from driver import metrics
from driver.metrics import Latency

LABELS = np.array([0, 1, 2, 0], np.uint8)
REFERENCE = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.1, 0.6, 0.3]], np.float32)  # 3 of 4 right


def test_the_reference_against_itself():
    assert metrics.figures(REFERENCE, LABELS, REFERENCE) == {
        "accuracy": 0.75,
        "delta_pp": 0.0,
        "agreement": 1.0,
        "max_abs_diff": 0.0,
    }


def test_a_variant_against_the_reference():
    """One answer that was right is wrong, one that was wrong is wrong in another way."""
    answers = REFERENCE.copy()
    answers[0] = [0.3, 0.4, 0.3]
    answers[3] = [0.1, 0.3, 0.6]
    found = metrics.figures(answers, LABELS, REFERENCE)
    assert found == {
        "accuracy": 0.5,
        "delta_pp": -25.0,
        "agreement": 0.5,
        "max_abs_diff": pytest.approx(0.5, abs=1e-6),
    }


def test_a_variant_may_be_better():
    answers = REFERENCE.copy()
    answers[3] = [0.6, 0.1, 0.3]
    assert metrics.figures(answers, LABELS, REFERENCE)["delta_pp"] == 25.0


def test_a_difference_is_not_spoilt_by_rounding():
    """8837 against 8777 of 10,000 is 0.6 points, not 0.5999999999999894."""
    labels = np.zeros(10_000, np.uint8)
    answers, reference = np.zeros((2, 10_000, 2), np.float32)
    answers[:, 1], reference[:, 1] = np.arange(10_000) >= 8777, np.arange(10_000) >= 8837
    assert metrics.figures(answers, labels, reference)["delta_pp"] == -0.6


def test_without_a_reference_there_is_accuracy_alone():
    assert metrics.figures(REFERENCE, LABELS, None) == {"accuracy": 0.75}


def test_a_difference_in_either_direction_counts():
    answers = REFERENCE.copy()
    answers[1, 1] -= np.float32(0.25)
    assert metrics.figures(answers, LABELS, REFERENCE)["max_abs_diff"] == pytest.approx(0.25)


def test_timings_over_all_rounds():
    """Eleven calls of 1 to 11 ms; of three batches of 64, the median takes 0.1 s."""
    rounds = [[0.011, 0.001, 0.002, 0.003, 0.004], [0.005, 0.006, 0.007, 0.008, 0.009, 0.010]]
    raw = {"batch_size": 64, "threads": 1, "latency": rounds, "throughput": [[0.1], [0.05], [0.9]]}
    found = metrics.timing(raw)
    assert found["latency_ms"] == Latency(pytest.approx(6.0), pytest.approx(10.0), 11)
    assert found["images_per_second"] == pytest.approx(640.0)
    assert set(found) == {"latency_ms", "images_per_second"}
