"""The bootstrap against what theory says, and its coverage by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import t

from driver.analysis import bootstrap, weighted_statistics
from driver.analysis.results import Interval


def replicates(column):
    return bootstrap.resample({"x": weighted_statistics.mean(column)}, len(column))["x"]


def test_every_resample_draws_as_many_samples_as_there_are():
    blocks = list(bootstrap.iterate_weights(5000))
    assert {block.shape[0] for block in blocks} == {5000}
    assert sum(block.shape[1] for block in blocks) == bootstrap.RESAMPLES
    assert all((block.sum(axis=0) == 5000).all() for block in blocks)
    assert len(blocks) > 1, "memory doesn't grow with the samples"


def test_the_resamples_are_always_the_same():
    """Or the difference of two variants would not be a paired one."""
    one, other = (np.concatenate(list(bootstrap.iterate_weights(70)), axis=1) for _ in range(2))
    assert (one == other).all()


def test_the_resamples_are_drawn_once_for_all_variants(monkeypatch):
    first = next(bootstrap.iterate_weights(71))
    monkeypatch.setattr(bootstrap, "draw_blocks", lambda *_: pytest.fail("they were drawn again"))
    assert (next(bootstrap.iterate_weights(71)) == first).all()


def test_more_resamples_than_memory_holds_are_drawn_again(monkeypatch):
    expected = np.concatenate(list(bootstrap.iterate_weights(72)), axis=1)
    monkeypatch.setattr(bootstrap, "DRAWS", 72 * bootstrap.FEWEST - 1)
    monkeypatch.setattr(bootstrap, "draw_once", lambda *_: pytest.fail("they were kept"))
    again = np.concatenate(list(bootstrap.iterate_weights(72)), axis=1)
    assert (again == expected[:, : bootstrap.FEWEST]).all()


@pytest.mark.parametrize(("samples", "number"), [(1, 1000), (100_000, 1000), (250_000, 400), (10**7, 200)])
def test_of_many_samples_there_are_fewer_resamples(samples, number):
    assert bootstrap.count_resamples(samples) == number


def test_of_many_labels_to_rank_by_there_are_fewer_too():
    assert [bootstrap.count_resamples(10_000, labels) for labels in (20, 50, 1000)] == [1000, 600, 200]


def test_the_interval_of_a_mean_is_student_s():
    column = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap.percentile_interval(replicates(column))
    half = t.ppf(0.975, 399) * column.std(ddof=1) / math.sqrt(400)
    assert interval.low == pytest.approx(column.mean() - half, abs=0.08 * half)
    assert interval.high == pytest.approx(column.mean() + half, abs=0.08 * half)


def test_the_p_value_of_a_paired_mean_is_student_s():
    column = np.random.default_rng(1).normal(0.1, 1, 400)
    statistic = column.mean() / (column.std(ddof=1) / math.sqrt(400))
    p = bootstrap.compute_p_value(column.mean(), replicates(column))
    assert p == pytest.approx(2 * t.sf(abs(statistic), 399), abs=0.015)


def test_beyond_all_resamples_the_p_value_goes_on_falling():
    """Among a hundred recipes, 1/1001 corrected would never be significant."""
    column = np.random.default_rng(2).normal(1, 1, 200)
    statistic = column.mean() / (column.std(ddof=1) / math.sqrt(200))
    p = bootstrap.compute_p_value(column.mean(), replicates(column))
    assert p <= 1 / 1001
    assert math.log(p) == pytest.approx(math.log(math.erfc(statistic / math.sqrt(2))), rel=0.15)


def test_a_difference_of_nothing_and_one_that_nothing_tells():
    assert bootstrap.compute_p_value(0.0, np.zeros(1000)) == 1.0
    assert bootstrap.compute_p_value(0.3, np.full(1000, np.nan)) == 1.0
    assert bootstrap.percentile_interval(np.full(1000, np.nan)) is None


def test_a_difference_in_every_resample_alike_is_sure():
    assert bootstrap.compute_p_value(0.3, np.full(999, 0.3)) == 1 / 1000


def test_one_sample():
    resampled = replicates(np.array([2.5]))
    assert bootstrap.percentile_interval(resampled) == Interval(2.5, 2.5)


def test_another_confidence_by_the_normal_distribution():
    assert bootstrap.interval_scale(0.95) == pytest.approx(1)
    assert bootstrap.interval_scale(0.99) == pytest.approx(2.5758 / 1.96, abs=1e-4)


def test_coverage_and_the_rate_of_false_alarms():
    """Of 400 experiments with absolute errors of the same kind: 95% of the intervals hold, 5% of the tests alarm."""
    random = np.random.default_rng(3)
    covered, alarms, experiments, samples = 0, 0, 400, 80
    for _ in range(experiments):
        before, after = np.abs(random.normal(0, 1, (2, samples)))
        one, other = replicates(before), replicates(after)
        interval = bootstrap.percentile_interval(one)
        covered += interval.low <= math.sqrt(2 / math.pi) <= interval.high
        alarms += bootstrap.compute_p_value(after.mean() - before.mean(), other - one) < 0.05
    assert 0.91 < covered / experiments < 0.98
    assert 0.02 < alarms / experiments < 0.09
