"""Samples in groups: how many independent ones they are worth, and how often that errs, by simulation."""

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import t

from driver.analysis import grouped_shares, paired_shares
from driver.analysis.paired_shares import PairedCounts

LEVEL = 0.05


def make_flags(groups, rate, alike, seed=0, size=1):
    """(won, lost) of `groups` groups of `size` samples; an `alike` share of the samples does what its group does."""
    random = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(groups), size)
    draw = np.where(random.random(len(numbers)) < alike, random.random(groups)[numbers], random.random(len(numbers)))
    return draw < rate / 2, (draw >= rate / 2) & (draw < rate), numbers


def find_effect(*arguments, **more):
    return grouped_shares.find_design_effect(*make_flags(*arguments, **more))


def bound_effect(*arguments, **more):
    return grouped_shares.bound_design_effect(*make_flags(*arguments, **more))


def test_groups_that_are_all_alike_are_worth_one_sample_each():
    assert find_effect(400, 0.3, 1.0, size=5) == 5


def test_independent_samples_are_worth_nearly_what_they_are():
    """The upper bound of an effect of 1."""
    assert 1 <= bound_effect(2000, 0.1, 0.0, size=5) < 1.15


def test_a_group_is_worth_two_samples_at_most():
    """However little alike they look: a loss that comes in bursts may be in none of those that were drawn."""
    assert find_effect(2000, 0.1, 0.0, size=10) == 5
    assert 1 < find_effect(2000, 0.1, 0.0, size=2) < 1.2


def test_what_is_somewhat_alike_is_in_between():
    """Of pairs of a group, a quarter does the same: 1 + (10 - 1) / 4."""
    effect = bound_effect(3000, 0.1, 0.5, size=10)
    assert effect == pytest.approx(1 + 9 / 4, rel=0.15)
    assert effect > 1 + 9 / 4, "bounded from above"


def test_of_few_groups_the_bound_is_further_from_the_estimate():
    """60 groups tell a variance only to within a third: 59 / 42.3, the quantile of chi-squared."""
    effects = [bound_effect(60, 0.2, 0.0, seed=seed, size=40) for seed in range(40)]
    assert np.mean(effects) == pytest.approx(59 / 42.3, rel=0.08)


def test_few_groups_that_differ_do_not_tell_how_alike_samples_are():
    """The most that it can be: all alike."""
    flags = make_flags(2000, 0.002, 0.0, size=5)
    differing = np.unique(flags[2][flags[0] | flags[1]])
    assert 0 < len(differing) < grouped_shares.FEWEST_DIFFERING
    assert grouped_shares.find_design_effect(*flags) == 5


def test_of_groups_of_different_sizes_the_large_ones_count_more():
    groups = np.repeat([0, 1, 2], [1, 2, 9])
    none = np.zeros(12, bool)
    assert grouped_shares.find_design_effect(none, none, groups) == pytest.approx((1 + 4 + 81) / 12)


def test_groups_of_one_sample_are_independent_samples():
    won, lost, groups = make_flags(900, 0.2, 0.0)
    counts = PairedCounts(600, lost.sum(), won.sum(), 900 - 600 - lost.sum() - won.sum())
    used, level = grouped_shares.discount(counts, won, lost, groups, LEVEL)
    assert used == counts
    assert level == pytest.approx(LEVEL, abs=1e-3), "Student's t with many degrees of freedom is normal"


def test_the_level_is_that_of_student_s_t_with_one_degree_less_than_groups():
    won, lost, groups = make_flags(12, 0.5, 0.0)
    _, level = grouped_shares.discount(PairedCounts(6, 3, 3, 0), won, lost, groups, LEVEL)
    assert -ndtri(level) == pytest.approx(t.ppf(1 - LEVEL, 11))
    assert level < LEVEL


def test_one_group_tells_nothing():
    won, lost = np.array([True, False, False]), np.array([False, True, False])
    counts = PairedCounts(1, 1, 1, 0)
    used, level = grouped_shares.discount(counts, won, lost, np.zeros(3, np.int64), LEVEL)
    assert (used.samples, level) == (0, LEVEL)
    assert paired_shares.bound_loss(used, "ratio", level).high == 1


def test_a_group_without_samples_is_no_mistake():
    """Where some of the samples are on another CPU, numbers may be missing."""
    none = np.zeros(4, bool)
    assert grouped_shares.find_design_effect(none, none, np.array([0, 0, 3, 3])) == 2


ACCURACY, LIMIT = 0.9, 0.01


def is_shown(random, groups, mean_size, discordant, alike):
    """Is a variant that loses just one percent shown to lose less, in one draw of groups of random sizes?"""
    sizes = random.poisson(mean_size - 1, groups) + 1
    numbers = np.repeat(np.arange(groups), sizes)
    draw = np.where(
        random.random(len(numbers)) < math.sqrt(alike), random.random(groups)[numbers], random.random(len(numbers))
    )
    share_lost, share_won = (discordant + sign * LIMIT * ACCURACY for sign in (1, -1))
    lost, won = draw < share_lost / 2, (draw >= share_lost / 2) & (draw < (share_lost + share_won) / 2)
    both = int(((draw >= discordant) & (draw < ACCURACY + share_won / 2)).sum())
    counts = PairedCounts(both, int(lost.sum()), int(won.sum()), len(draw) - both - int((lost | won).sum()))
    used, level = grouped_shares.discount(counts, won, lost, numbers, LEVEL)
    return paired_shares.score(used, LIMIT, "ratio") > -ndtri(level)


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(
    ("groups", "mean_size", "discordant"),
    [(300, 10, 0.02), (600, 10, 0.05), (300, 30, 0.0091), (300, 50, 0.0091), (100, 200, 0.0091)],
)
def test_the_level_holds_for_samples_that_are_alike_in_their_groups(groups, mean_size, discordant, alike):
    """Within 4 standard deviations of what so many draws tell. The last ones lose in rare bursts alone."""
    random, draws = np.random.default_rng(13), 500 if groups * mean_size < 10_000 else 200
    shown = np.mean([is_shown(random, groups, mean_size, discordant, alike) for _ in range(draws)])
    assert shown <= LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / draws)


def test_without_groups_it_would_not_hold():
    random = np.random.default_rng(14)
    shown = []
    for _ in range(300):
        won, lost, _ = make_flags(300, 0.05, 0.9, seed=random.integers(1 << 30), size=10)
        counts = PairedCounts(2400, int(lost.sum()), int(won.sum()), 600 - int((lost | won).sum()))
        shown.append(paired_shares.score(counts, 0.0, "difference") > -ndtri(LEVEL))
    assert np.mean(shown) > 0.15
