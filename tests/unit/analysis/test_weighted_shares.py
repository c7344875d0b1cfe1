"""Bounds of shares whose samples have weights: against independent samples, and in simulation."""

import numpy as np
import pytest

from driver.analysis import paired_shares, weighted_shares
from driver.analysis.paired_shares import PairedCounts

SIZES = (480, 90, 30)
LABELS = np.repeat([0, 1, 2], SIZES)
BALANCED = 1 / np.array(SIZES, np.float64)[LABELS]


def bound(right, base_right, weights, groups=None, level=0.05):
    counts = weighted_shares.count_weighted(right, base_right, weights)
    used, level = weighted_shares.discount(counts, right, base_right, weights, groups, level)
    return paired_shares.bound_loss(used, "difference", level)


def test_equal_weights_are_none():
    random = np.random.default_rng(0)
    base_right, right = random.random(600) < 0.9, random.random(600) < 0.88
    lost, won = (base_right & ~right).sum(), (right & ~base_right).sum()
    counts = weighted_shares.count_weighted(right, base_right, np.full(600, 3.0))
    expected = PairedCounts((right & base_right).sum(), lost, won, (~right & ~base_right).sum())
    for name in ("both_right", "lost", "won", "both_wrong"):
        assert getattr(counts, name) == pytest.approx(getattr(expected, name))
    exact = paired_shares.bound_loss(expected, "difference", 0.05)
    assert bound(right, base_right, np.ones(600)).high == pytest.approx(exact.high, rel=0.2)
    assert bound(right, base_right, np.ones(600)).high >= exact.high, "by the upper bound of the effect"


def test_where_nothing_differs_the_rare_class_may_lose_all_that_it_can():
    """30 samples of the class bound its loss no better than 30 would; it is a third of the whole."""
    right = np.ones(600, np.bool_)
    of_class = paired_shares.bound_loss(PairedCounts(30, 0, 0, 0), "difference", 0.05)
    assert bound(right, right, BALANCED).high == pytest.approx(of_class.high / 3, rel=0.1)


def test_samples_without_weight_tell_nothing():
    right = np.ones(600, np.bool_)
    some = np.where(LABELS == 1, 1.0, 0.0)
    alone = paired_shares.bound_loss(PairedCounts(90, 0, 0, 0), "difference", 0.05)
    assert bound(right, right, some).high == pytest.approx(alone.high, rel=0.02)


def test_groups_are_one_unit_and_one_group_shows_nothing():
    right = np.ones(600, np.bool_)
    assert bound(right, right, BALANCED, np.arange(600) // 5).high > 2 * bound(right, right, BALANCED).high
    assert bound(right, right, BALANCED, np.zeros(600, np.int64)).high == 1.0


@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize(
    "lost",
    [(0.0, 0.0, 0.03), (0.01, 0.01, 0.01), (0.03, 0.0, 0.0), (0.0, 0.03, 0.0)],
    ids=["rare", "all", "frequent", "between"],
)
def test_a_loss_that_is_just_tolerated_is_seldom_shown_good_enough(lost, times):
    """A balanced loss of one point in all, of 400 seeded sets: at 5 %. Two of a hundred differ either way besides."""
    random, labels = np.random.default_rng(1), np.repeat(LABELS, times)
    weights, shown = np.repeat(BALANCED, times), 0
    for _ in range(400):
        drawn = random.random(len(labels))
        right, base_right = drawn >= np.array(lost)[labels] + 0.02, drawn < 0.98
        shown += bound(right, base_right, weights).high < 0.01
    assert shown / 400 <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "lost", "others"), [((1950, 50), 0.03, 0.04), ((4950, 50), 0.03, 0.02), ((2000, 1000, 50), 0.03, 0.1)]
)
def test_large_classes_that_differ_say_nothing_of_a_small_one(sizes, lost, others):
    """All of the loss is in the smallest class, and it is just what is tolerated; of 300 seeded sets."""
    random, labels = np.random.default_rng(2), np.repeat(np.arange(len(sizes)), sizes)
    weights, shown, last = 1 / np.array(sizes, np.float64)[labels], 0, len(sizes) - 1
    for _ in range(300):
        drawn, kind = random.random(len(labels)), labels == last
        right = np.where(kind, drawn >= lost, (drawn >= others / 2))
        base_right = np.where(kind, True, (drawn < others / 2) | (drawn >= others))
        shown += bound(right, base_right, weights).high < lost / len(sizes)
    assert shown / 300 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.slow
def test_groups_of_equal_weights_count_as_two_samples_at_most():
    """Whole groups lose, just as much as is tolerated; of 300 seeded sets."""
    random, groups, shown = np.random.default_rng(3), np.repeat(np.arange(200), 20), 0
    for _ in range(300):
        burst = random.random(200)[groups] < 0.0088
        noise = random.random(len(groups))
        right, base_right = ~burst & (noise >= 0.02), noise < 0.98
        shown += bound(right, base_right, np.ones(len(groups)), groups).high < 0.0088
    assert shown / 300 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)
