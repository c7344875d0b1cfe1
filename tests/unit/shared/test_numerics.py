"""The shared numerical methods: checked by hand and by definition, in blocks and in one piece."""

import math

import numpy as np
import pytest
from scipy import special

from shared import numerics
from shared.numerics import ErrorAccumulator

RANDOM = np.random.default_rng(0)


def accumulate(reference, other, size=None):
    errors = ErrorAccumulator()
    for start in range(0, len(reference), size or len(reference)):
        block = slice(start, start + (size or len(reference)))
        errors.add(reference[block], other[block])
    return errors


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.9, 0.8, 0.1], False),  # a sigmoid for each class: they needn't sum to 1
        ([0.2, 0.3, 0.5], False),
        ([-0.005, 0.995, 0.01], False),  # eight bits
        ([-0.02, 0.5, 0.5], True),
        ([0.5, 1.02, 0.5], True),
        ([], False),
    ],
)
def test_logits_are_what_no_probabilities_are(row, expected):
    assert numerics.are_logits(np.array([row], np.float32)) is expected


def test_the_softmax_is_that_of_scipy_and_overflows_nowhere():
    logits = np.concatenate([RANDOM.normal(0, 5, (20, 6)), [[-900.0, 900, 0, 0, 0, 0]]])
    assert numerics.softmax(logits) == pytest.approx(special.softmax(logits, axis=1), rel=1e-13)
    assert numerics.softmax(logits.astype(np.float32)).dtype == np.float32


def test_the_errors_by_hand():
    """Signal 9 + 16, noise 0 + 1: 10 log10 25; product 9 + 12, lengths 5 and the root of 18."""
    errors = accumulate(np.array([[3.0, 4.0]]), np.array([[3.0, 3.0]]))
    assert errors.sqnr_db == pytest.approx(10 * math.log10(25))
    assert errors.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert (errors.max_abs, errors.mean_abs, errors.noise_share) == (1.0, 0.5, 1 / 25)


def test_the_errors_of_a_single_number():
    errors = ErrorAccumulator()
    errors.add(np.float32(3), np.array(4, np.float32))
    assert (errors.values, errors.max_abs, errors.mean_abs, errors.noise_share) == (1, 1.0, 1.0, 1 / 9)


def test_blocks_add_up_to_the_whole():
    exact, noise = RANDOM.normal(size=(2, 50, 7)).astype(np.float32)
    whole, parts = accumulate(exact, exact + noise), accumulate(exact, exact + noise, 20)
    for name in ("sqnr_db", "cosine", "mean_abs", "noise_share"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)
    assert (parts.max_abs, parts.values) == (whole.max_abs, whole.values)


def test_the_errors_are_those_of_the_definitions():
    exact, noise = RANDOM.normal(size=(2, 30, 4))
    errors = accumulate(exact, exact + noise, 7)
    assert errors.mean_abs == pytest.approx(np.abs(noise).mean())
    assert errors.max_abs == pytest.approx(np.abs(noise).max())
    assert errors.sqnr_db == pytest.approx(10 * np.log10(np.square(exact).sum() / np.square(noise).sum()))


def test_where_nothing_differs():
    errors = accumulate(np.arange(4.0), np.arange(4.0))
    assert (errors.sqnr_db, errors.cosine, errors.max_abs, errors.mean_abs) == (None, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(("exact", "other", "cosine"), [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
def test_an_array_of_zeros_has_finite_errors(exact, other, cosine):
    errors = accumulate(np.full(3, exact), np.full(3, other))
    assert errors.cosine == cosine
    assert errors.sqnr_db is None or math.isfinite(errors.sqnr_db)
    assert math.isfinite(errors.noise_share)


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"^arrays of \(2,\) and \(2, 1\): give two of the same shape$"):
        ErrorAccumulator().add(np.zeros(2), np.zeros((2, 1)))


def test_the_divergence_by_hand():
    exact, quantized = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    by_hand = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert numerics.kl_divergence(exact, quantized).tolist() == [pytest.approx(by_hand)]
    assert numerics.kl_divergence(3 * exact, quantized / 5).tolist() == [pytest.approx(by_hand)]
    assert numerics.mean_kl_divergence(exact, quantized) == pytest.approx(by_hand)
    assert numerics.mean_kl_divergence(np.log(exact) + 3, np.log(quantized) - 5) == pytest.approx(by_hand)


def test_a_small_divergence_keeps_its_digits():
    """Of probabilities that are off by e, half the sum of e²/p: rounding the ratios would leave 1e-17 instead."""
    exact = np.array([[0.25, 0.75]])
    off = np.array([[1e-10, -1e-10]])
    expected = 0.5 * (np.square(off) / exact).sum()
    assert numerics.kl_divergence(exact, exact + off)[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("quantized", [[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
def test_a_probability_of_zero_gives_a_finite_divergence(quantized):
    assert math.isfinite(numerics.mean_kl_divergence(np.array([[1.0, 0.0]]), np.array(quantized)))


def test_the_divergence_of_equal_outputs_is_zero():
    outputs = RANDOM.normal(size=(5, 10))
    assert numerics.mean_kl_divergence(outputs, outputs) == 0.0


def test_the_mean_divergence_is_read_in_blocks(monkeypatch):
    exact, quantized = RANDOM.dirichlet([0.5] * 4, (2, 33))
    expected = numerics.kl_divergence(exact, quantized).mean()
    monkeypatch.setattr(numerics, "BLOCK_VALUES", 20)
    assert numerics.mean_kl_divergence(exact, quantized) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([(3, 80), (1, 70), (2, 75), (2.5, 72), (4, 80)], [1, 2, 0]),  # the last but one is beaten, the last as good
        ([(1, 90), (2, 80), (3, 70)], [0]),
        ([(1, 70), (2, 80), (3, 90)], [0, 1, 2]),
        ([(1, 70), (1, 80)], [1]),
        ([(1, 70), (2, 70)], [0]),
        ([(1, 70), (1, 70)], [0, 1]),  # neither beats the other
        ([(1, -math.inf), (2, 0)], [0, 1]),
        ([(1, 70)], [0]),
        ([], []),
    ],
)
def test_the_front_is_what_nothing_beats_in_both(points, best):
    costs, values = zip(*points, strict=True) if points else ((), ())
    assert numerics.pareto_front(costs, values) == best


def test_the_front_by_comparing_every_pair():
    for _ in range(50):
        points = [tuple(point) for point in RANDOM.integers(0, 6, (12, 2)).tolist()]
        on_front = [
            index
            for index, (cost, value) in enumerate(points)
            if not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points)
        ]
        expected = sorted(on_front, key=lambda index: points[index])
        assert numerics.pareto_front(*zip(*points, strict=True)) == expected
