"""The figures as functions of weights: against published values, brute force, and shared/numerics.py."""

import math

import numpy as np
import pytest
from scipy import stats

from driver.analysis import bootstrap, weighted_statistics
from shared import numerics

# Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982), table I: 109 CT images,
# rated 1-5; the area is 0.893, its standard error 0.032.
NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


def once(figure, samples):
    return bootstrap.compute_values({"x": figure}, samples)["x"]


def drawn(figure, arrays, of):
    """`figure` on resamples by their weights, and `of` on the same resamples by their indices."""
    random = np.random.default_rng(7)
    samples = len(arrays[0])
    indices = random.integers(0, samples, (20, samples))
    weights = np.stack([np.bincount(chosen, minlength=samples) for chosen in indices], axis=1).astype(np.float64)
    return figure(weights), np.array([of(*(array[chosen] for array in arrays)) for chosen in indices])


def test_the_area_under_the_curve_of_hanley_and_mcneil():
    scores = np.concatenate([np.repeat(np.arange(5.0), NORMAL), np.repeat(np.arange(5.0), ABNORMAL)])
    positive = np.arange(109) >= 58
    figure = weighted_statistics.area_under_roc(scores, positive)
    assert once(figure, 109) == pytest.approx(0.893, abs=5e-4)
    assert bootstrap.resample({"x": figure}, 109)["x"].std() == pytest.approx(0.032, abs=0.003)


def area(scores, positive):
    """Every positive against every negative."""
    difference = scores[positive][:, None] - scores[~positive]
    return ((difference > 0) + 0.5 * (difference == 0)).mean()


@pytest.mark.parametrize("levels", [3, 1000])
def test_the_area_on_resamples_is_that_of_the_drawn_samples(levels):
    """With many equal scores and with few."""
    random = np.random.default_rng(1)
    positive = random.random(150) < 0.3
    scores = random.integers(0, levels, 150) + levels * 0.3 * positive
    resampled, expected = drawn(weighted_statistics.area_under_roc(scores, positive), (scores, positive), area)
    assert resampled == pytest.approx(expected)


def test_average_precision_by_hand():
    """Positives in places 1, 3 and 4 of five: (1/1 + 2/3 + 3/4) / 3."""
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, False, True, True, False])
    expected = (1 + 2 / 3 + 3 / 4) / 3
    assert numerics.average_precision(scores, positive) == pytest.approx(expected)
    assert once(weighted_statistics.average_precision(scores, positive), 5) == pytest.approx(expected)


def test_average_precision_of_scikit_learn_s_example():
    """Its documentation: y_true [0, 0, 1, 1], y_scores [0.1, 0.4, 0.35, 0.8] give 0.83."""
    scores, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert numerics.average_precision(scores, positive) == pytest.approx(5 / 6)


def test_equal_scores_are_one_threshold():
    """All alike: the precision is the share of positives, however they are ordered."""
    positive = np.array([True, False, False, False])
    for _ in range(4):
        positive = np.roll(positive, 1)
        assert numerics.average_precision(np.full(4, 0.5), positive) == 0.25
        assert once(weighted_statistics.average_precision(np.full(4, 0.5), positive), 4) == 0.25


@pytest.mark.parametrize("levels", [4, 1000])
def test_mean_average_precision_on_resamples_is_that_of_the_drawn_samples(levels):
    random = np.random.default_rng(2)
    positive = random.random((120, 5)) < [0.02, 0.1, 0.3, 0.5, 0.0]
    scores = random.integers(0, levels, positive.shape) + 0.5 * levels * positive
    figure = weighted_statistics.mean_average_precision(scores, positive)
    resampled, expected = drawn(figure, (scores, positive), numerics.mean_average_precision)
    assert resampled == pytest.approx(expected)
    assert once(figure, 120) == pytest.approx(numerics.mean_average_precision(scores, positive))


def test_a_resample_without_positives_tells_nothing():
    positive = np.array([[True], [False]])
    figure = weighted_statistics.mean_average_precision(np.array([[0.9], [0.1]]), positive)
    assert np.isnan(figure(np.array([[0.0], [2.0]]))).all()


def f1_of(predicted, positive):
    hits = (predicted & positive).sum(axis=0)
    return 2 * hits / np.maximum(predicted.sum(axis=0) + positive.sum(axis=0), 1)


def test_f1_by_hand_and_on_resamples():
    predicted = np.array([[1, 0], [1, 1], [0, 0]], bool)
    positive = np.array([[1, 0], [0, 1], [1, 0]], bool)
    assert once(weighted_statistics.f1(predicted, positive, macro=False), 3) == pytest.approx(2 * 2 / (3 + 3))
    assert once(weighted_statistics.f1(predicted, positive, macro=True), 3) == pytest.approx((2 * 1 / 4 + 1) / 2)
    macro = weighted_statistics.f1(predicted, positive, macro=True)
    resampled, expected = drawn(macro, (predicted, positive), lambda *drawn: f1_of(*drawn).mean())
    assert resampled == pytest.approx(expected)


def test_r_squared_on_resamples_is_that_of_the_drawn_samples():
    random = np.random.default_rng(4)
    exact = random.normal(1e4, 3, (90, 2))
    outputs = exact + random.normal(0, 1, exact.shape)
    resampled, expected = drawn(weighted_statistics.r_squared(outputs, exact), (outputs, exact), numerics.r_squared)
    assert resampled == pytest.approx(expected, abs=1e-9)


def test_many_values_have_one_r_squared():
    """Each value weighs as it varies: the same as of one column of all, where their means are alike."""
    random = np.random.default_rng(5)
    exact = random.normal(0, np.linspace(0.5, 2, 100), (60, 100))
    exact -= exact.mean(axis=0)
    outputs = exact + random.normal(0, 0.3, exact.shape)
    expected = 1 - np.square(outputs - exact).sum() / np.square(exact).sum()
    assert numerics.r_squared(outputs, exact) == pytest.approx(expected)
    assert once(
        weighted_statistics.pooled_r_squared(*numerics.squared_deviations(outputs, exact)), 60
    ) == pytest.approx(expected)


def test_r_squared_by_hand():
    """Scikit-learn's example: 0.948…"""
    outputs, exact = np.array([[2.5], [0.0], [2.0], [8.0]]), np.array([[3.0], [-0.5], [2.0], [7.0]])
    assert once(weighted_statistics.r_squared(outputs, exact), 4) == pytest.approx(0.9486081370449679)
    assert numerics.r_squared(outputs, exact) == pytest.approx(0.9486081370449679)


def test_a_target_that_is_always_the_same_has_no_variance():
    same = np.full((5, 1), 2.0)
    assert once(weighted_statistics.r_squared(same, same), 5) == 1.0
    assert once(weighted_statistics.r_squared(same + 1, same), 5) == 0.0


def test_root_of_the_mean_square():
    assert once(weighted_statistics.root_mean(np.array([9.0, 16.0])), 2) == pytest.approx(12.5**0.5)


def test_decibels_and_cosine():
    signal, noise = np.array([50.0, 50.0]), np.array([1.0, 0.0])
    assert once(weighted_statistics.decibels(signal, noise), 2) == pytest.approx(20)
    assert once(weighted_statistics.decibels(signal, 0 * noise), 2) == 150.0
    assert once(weighted_statistics.cosine(signal, signal, np.array([50.0, -50.0])), 2) == 0.0
    assert once(weighted_statistics.cosine(0 * signal, 0 * signal, 0 * signal), 2) == 1.0


@pytest.mark.parametrize("levels", [2, 6, 1000])
def test_correlations_on_resamples_are_those_of_the_drawn_samples(levels):
    """With many equal values and with few: a sample that is drawn twice is a tie, too."""
    random = np.random.default_rng(8)
    one = random.integers(0, levels, 90).astype(np.float64)
    other = np.round(one / 2 + random.normal(0, levels / 4, 90))
    for metric, of in ((weighted_statistics.spearman, stats.spearmanr), (weighted_statistics.pearson, stats.pearsonr)):
        resampled, expected = drawn(metric(one, other), (one, other), lambda *pair, of=of: of(*pair)[0])
        assert resampled == pytest.approx(expected, abs=1e-9)


def test_what_does_not_vary_has_no_correlation():
    for metric in (weighted_statistics.spearman, weighted_statistics.pearson):
        assert np.isnan(once(metric(np.ones(5), np.arange(5.0)), 5))
        assert np.isnan(once(metric(np.ones(1), np.ones(1)), 1))
        assert not metric(np.ones(5), np.arange(5.0)).influence.any()


def test_a_pair_weighs_as_its_samples_and_other_samples_nothing():
    one, other = RANDOM.normal(size=20), RANDOM.normal(size=20)
    members = RANDOM.permutation(50)[:40].reshape(20, 2)
    metric = weighted_statistics.spearman(one, other)
    of_samples = weighted_statistics.of_pairs(metric, members, 50)
    weights = RANDOM.integers(0, 4, (20, 30)).astype(np.float64)
    spread_out = np.full((50, 30), 7.0)
    spread_out[members[:, 0]] = spread_out[members[:, 1]] = weights
    assert of_samples(spread_out) == pytest.approx(metric(weights))
    groups = np.arange(50)
    groups[members[:, 1]] = groups[members[:, 0]]
    groups = np.unique(groups, return_inverse=True)[1]
    error = np.sqrt(np.square(metric.influence).sum()) / 20
    by_group = bootstrap.sum_by_group(of_samples.influence, groups)
    assert np.sqrt(np.square(by_group).sum()) / len(by_group) == pytest.approx(error)


def test_the_mean_of_the_means_by_class():
    column, classes = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 0, 0, 5])
    assert once(weighted_statistics.mean_of_classes(column, classes), 4) == pytest.approx((2 / 3 + 1) / 2)
    without = np.array([[1.0], [1.0], [1.0], [0.0]])
    assert weighted_statistics.mean_of_classes(column, classes)(without) == pytest.approx(2 / 3), "of the classes drawn"


# Influence values.


def differentiate(metric, samples, step=1e-4):
    """By how much the metric changes for a little more of each sample, numerically; all samples are there ten times.

    Ten times, since average precision divides by one sample at least.
    """
    weights = np.full((samples, 1), 10.0)
    more, less = (np.repeat(weights, samples, axis=1) * (1 + sign * step * np.eye(samples)) for sign in (1, -1))
    return (metric(more) - metric(less)) / (2 * step) * samples


RANDOM = np.random.default_rng(12)
VALUES, OTHERS = RANDOM.normal(size=(60, 3)), RANDOM.normal(size=(60, 3))
SCORES, POSITIVE = RANDOM.random((60, 4)).astype(np.float32), RANDOM.random((60, 4)) < 0.4
TIED = np.round(SCORES * 5) / 5
POWERS = np.square(RANDOM.normal(size=(60, 3)))
INFLUENCES = {
    "mean": weighted_statistics.mean(VALUES[:, 0]),
    "root_mean": weighted_statistics.root_mean(POWERS[:, 0]),
    "r_squared": weighted_statistics.r_squared(VALUES + 0.3 * OTHERS, VALUES),
    "pooled_r_squared": weighted_statistics.pooled_r_squared(0.1 * POWERS[:, 0], POWERS[:, 1]),
    "decibels": weighted_statistics.decibels(POWERS[:, 0], 0.01 * POWERS[:, 1]),
    "cosine": weighted_statistics.cosine(np.square(VALUES[:, 0]), np.square(OTHERS[:, 0]), VALUES[:, 0] * OTHERS[:, 0]),
    "f1": weighted_statistics.f1(SCORES > 0.5, POSITIVE, macro=False),
    "f1_macro": weighted_statistics.f1(SCORES > 0.5, POSITIVE, macro=True),
    "average_precision": weighted_statistics.average_precision(SCORES[:, 0], POSITIVE[:, 0]),
    "average_precision_tied": weighted_statistics.average_precision(TIED[:, 0], POSITIVE[:, 0]),
    "mean_average_precision": weighted_statistics.mean_average_precision(TIED, POSITIVE),
    "ratio": weighted_statistics.ratio(VALUES[:, 0], 1 + POWERS[:, 0]),
    "mean_of_classes": weighted_statistics.mean_of_classes(VALUES[:, 0], np.arange(60) // 17),
    "pearson": weighted_statistics.pearson(VALUES[:, 0], VALUES[:, 0] + OTHERS[:, 0]),
    "spearman": weighted_statistics.spearman(VALUES[:, 0], VALUES[:, 0] + OTHERS[:, 0]),
    "spearman_tied": weighted_statistics.spearman(np.round(VALUES[:, 0]), np.round(VALUES[:, 0] + OTHERS[:, 0])),
    "of_pairs": weighted_statistics.of_pairs(
        weighted_statistics.spearman(VALUES[:30, 0], OTHERS[:30, 0]), np.arange(60).reshape(30, 2), 60
    ),
    "area_under_roc": weighted_statistics.area_under_roc(SCORES[:, 0].astype(np.float64), POSITIVE[:, 0]),
    "area_under_roc_tied": weighted_statistics.area_under_roc(TIED[:, 0].astype(np.float64), POSITIVE[:, 0]),
}


@pytest.mark.parametrize("metric", INFLUENCES.values(), ids=INFLUENCES)
def test_the_influence_of_a_sample_is_what_a_little_more_of_it_changes(metric):
    influence = metric.influence
    assert influence.shape == (60,)
    assert influence == pytest.approx(differentiate(metric, 60), rel=2e-3, abs=2e-5)
    assert influence.mean() == pytest.approx(0, abs=1e-9 * np.abs(influence).max() + 1e-6)


@pytest.mark.parametrize("metric", INFLUENCES.values(), ids=INFLUENCES)
def test_the_standard_error_by_influence_is_the_spread_of_the_resamples(metric):
    error = np.sqrt(np.square(metric.influence).sum()) / 60
    assert bootstrap.resample({"x": metric}, 60)["x"].std() == pytest.approx(error, rel=0.15)


def test_where_nothing_can_change_nothing_has_influence():
    zeros = np.zeros(20)
    assert not weighted_statistics.root_mean(zeros).influence.any()
    assert not weighted_statistics.decibels(np.ones(20), zeros).influence.any(), "at most EXACT_DB"
    exact = np.arange(20.0)[:, None]
    assert not weighted_statistics.r_squared(exact, exact).influence.any()
    assert not weighted_statistics.mean_average_precision(np.zeros((20, 2)), np.zeros((20, 2), bool)).influence.any()


def test_the_jackknife_of_a_mean_is_its_influence():
    """One sample is left out at a time: n - 1 times the change is the distance from the mean."""
    column = np.random.default_rng(6).normal(size=50)
    jackknife = weighted_statistics.jackknife(weighted_statistics.mean(column), 50)
    assert jackknife == pytest.approx(column - column.mean())


@pytest.mark.parametrize("samples", [1000, 1001, 1500, 2500])
def test_the_jackknife_leaves_out_blocks_of_many_samples(samples, monkeypatch):
    """Its standard error is still that of all samples; in blocks of weights it is the same."""
    column = np.random.default_rng(8).normal(size=samples)
    metric = weighted_statistics.mean(column)
    jackknife = weighted_statistics.jackknife(metric, samples)
    assert jackknife.mean() == pytest.approx(0, abs=0.01)
    error = math.sqrt(np.square(jackknife).sum()) / samples
    assert error == pytest.approx(column.std() / math.sqrt(samples), rel=0.05)
    monkeypatch.setattr(weighted_statistics, "BLOCK", 7 * samples)
    assert weighted_statistics.jackknife(metric, samples) == pytest.approx(jackknife)


def test_the_jackknife_where_nothing_is_left():
    """Without the only positive there is no average precision."""
    positive = np.array([True, False, False])
    metric = weighted_statistics.average_precision(np.array([0.2, 0.9, 0.1]), positive)
    assert np.isfinite(weighted_statistics.jackknife(metric, 3)).all()
    assert weighted_statistics.jackknife(weighted_statistics.mean(np.ones(1)), 1).tolist() == [0.0]
