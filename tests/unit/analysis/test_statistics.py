"""Against published examples, other derivations of the same figure, and by hand."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from driver.analysis import statistics
from driver.analysis.results import Count, Interval

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.uint8)
ODD_TABLES = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (50, 0, 0, 0), (0, 0, 0, 50), (0, 50, 0, 0)]


def images(both_right, only_reference, only_variant, both_wrong):
    """(reference_right, variant_right) of so many images of each kind."""
    counts = (both_right, only_reference, only_variant, both_wrong)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(successes, total, low, high):
    """Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    interval = statistics.wilson_interval(successes, total)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_is_where_the_score_test_turns(confidence):
    """At each end of it the observed share is z standard errors of that end away."""
    z = norm.isf((1 - confidence) / 2)
    for total, successes in ((n, k) for n in (1, 2, 12) for k in range(n + 1)):
        interval = statistics.wilson_interval(successes, total, confidence)
        for end in (interval.low, interval.high):
            distance = abs(successes / total - end)
            assert distance == pytest.approx(z * math.sqrt(max(end * (1 - end), 0) / total), abs=1e-7)
        assert interval.low < interval.high


@pytest.mark.parametrize(
    ("successes", "total", "confidence", "low", "high"),
    [
        (0, 20, 0.95, 0.0, 0.16112515805281938),
        (20, 20, 0.95, 0.8388748419471806, 1.0),
        (8777, 10_000, 0.95, 0.8711330901605455, 0.8839768374702454),
        (1, 3, 0.99, 0.04042662929608465, 0.855783984952333),
        (499_999, 1_000_000, 0.8, 0.4993582247450676, 0.5006397752582171),
        (37, 512, 0.9, 0.05560719375119792, 0.0934208173701482),
    ],
)
def test_wilson_is_that_of_statsmodels(successes, total, confidence, low, high):
    """Of statsmodels 0.15.0, `proportion_confint(..., method="wilson")`."""
    interval = statistics.wilson_interval(successes, total, confidence)
    assert (interval.low, interval.high) == (pytest.approx(low, rel=1e-15), pytest.approx(high, rel=1e-15))


def test_wilson_of_no_images_is_everything():
    assert statistics.wilson_interval(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    ("table", "low", "high", "digits"),
    [
        ((59, 16, 6, 80), -11.86, -0.46, 2),  # Cavo et al. 2012, in Fagerland's contingencytables: phi is corrected
        ((1, 7, 1, 12), -50.7, -2.6, 1),  # Bentur et al. 2009, the same
        ((20, 6, 15, 5), 0.2602, 36.9943, 4),  # the CAMIS handbook: phi is positive, and the correction makes it 0
        ((36, 2, 12, 0), 5.69, 34.04, 2),  # Newcombe's own: phi is negative, and left as it is
    ],
)
def test_the_interval_of_a_paired_difference_as_published(table, low, high, digits):
    interval = statistics.pair_answers(*images(*table)).interval_pp
    assert (round(interval.low, digits), round(interval.high, digits)) == (low, high)


def test_where_all_are_right_the_interval_is_that_of_wilson():
    """The variant can be no better than all right, and no worse than Wilson's z²/(n + z²)."""
    paired = statistics.pair_answers(*images(54, 0, 0, 0))
    width = 100 * norm.isf(0.025) ** 2 / (54 + norm.isf(0.025) ** 2)
    assert paired.interval_pp == Interval(pytest.approx(-width), pytest.approx(width))


def test_a_wider_confidence_reaches_wilson_and_the_paired_interval():
    """At 99 % and all right: z²/(n + z²) of that z."""
    z = norm.isf(0.005)
    paired = statistics.pair_answers(*images(54, 0, 0, 0), confidence=0.99)
    assert paired.interval_pp.high == pytest.approx(100 * z**2 / (54 + z**2))


def test_the_variant_and_the_reference_in_each_others_place():
    one, other = statistics.pair_answers(*images(60, 9, 2, 29)), statistics.pair_answers(*images(60, 2, 9, 29))
    assert one.delta_pp == -7.0
    assert other.delta_pp == 7.0
    assert one.interval_pp == Interval(pytest.approx(-other.interval_pp.high), pytest.approx(-other.interval_pp.low))
    assert one.p_value == other.p_value


def test_images_that_agree_narrow_the_interval():
    """The same two accuracies, 80 and 90 %: beyond doubt with 10 discordant images, not with 30."""
    close, apart = statistics.pair_answers(*images(80, 0, 10, 10)), statistics.pair_answers(*images(70, 10, 20, 0))
    assert close.interval_pp.low > 0 > apart.interval_pp.low
    assert close.delta_pp == apart.delta_pp == 10.0


def test_counts_are_of_the_right_images():
    reference = np.array([True, True, True, False, False, True])
    variant = np.array([True, False, False, True, False, True])
    paired = statistics.pair_answers(reference, variant)
    assert (paired.both_right, paired.only_reference, paired.only_variant, paired.both_wrong) == (2, 2, 1, 1)
    assert all(type(count) is int for count in (paired.both_right, paired.both_wrong))
    assert paired.p_holm is None


def test_a_difference_is_not_spoilt_by_rounding():
    """8837 against 8777 of 10,000 is 0.6 points, not 0.5999999999999894."""
    assert statistics.pair_answers(*images(8777, 60, 0, 1163)).delta_pp == -0.6


@pytest.mark.parametrize(
    ("table", "published"),
    [((1, 7, 1, 12), 0.0703), ((59, 16, 6, 80), 0.0525)],
)
def test_mcnemar_exact_as_published(table, published):
    """Fagerland, Lydersen, Laake, BMC Medical Research Methodology 13:91 (2013): the exact conditional test."""
    assert statistics.pair_answers(*images(*table)).p_value == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(
    ("lost", "won", "p_value"),
    [
        (0, 0, 1.0),
        (0, 1, 1.0),
        (7, 1, 0.0703125),
        (60, 0, 1.734723475976807e-18),
        (16, 6, 0.052478790283203125),
        (250, 311, 0.011236762024285722),
        (5012, 4988, 0.8180931805026528),
    ],
)
def test_mcnemar_exact_is_that_of_statsmodels(lost, won, p_value):
    """Of statsmodels 0.15.0, `mcnemar(..., exact=True)`."""
    assert statistics.exact_mcnemar(np.array([lost]), np.array([won])) == [pytest.approx(p_value, rel=1e-12)]
    assert statistics.pair_answers(*images(5, lost, won, 6)).p_value == pytest.approx(p_value, rel=1e-12)


def test_mcnemar_exact_by_enumeration():
    """Of all the ways that the discordant images may fall, those at least as lopsided."""
    for worse, better in itertools.product(range(6), repeat=2):
        falls = list(itertools.product((-1, 1), repeat=worse + better))
        lopsided = sum(abs(sum(fall)) >= abs(better - worse) for fall in falls)
        paired = statistics.pair_answers(*images(10, worse, better, 3))
        assert paired.p_value == pytest.approx(lopsided / len(falls)), (worse, better)


def test_images_on_which_both_agree_are_no_evidence_for_the_test():
    assert (
        statistics.pair_answers(*images(9000, 9, 2, 989)).p_value
        == statistics.pair_answers(*images(0, 9, 2, 0)).p_value
    )


@pytest.mark.parametrize("table", ODD_TABLES)
def test_an_extreme_table_has_sensible_figures(table):
    paired = statistics.pair_answers(*images(*table))
    assert -100 - 1e-9 <= paired.interval_pp.low <= paired.delta_pp <= paired.interval_pp.high <= 100 + 1e-9
    assert paired.interval_pp.low < paired.interval_pp.high
    assert 0 < paired.p_value <= 1
    assert paired.delta_pp == 100 * (table[2] - table[1]) / sum(table)


def test_no_table_of_few_images_has_an_interval_beyond_a_hundred_points():
    for total in (1, 2, 3, 9):
        for table in itertools.product(range(total + 1), repeat=4):
            if sum(table) == total:
                interval = statistics.newcombe_interval(*table)
                delta = 100 * (table[2] - table[1]) / total
                assert -100 - 1e-9 <= interval.low <= delta + 1e-9, table
                assert delta - 1e-9 <= interval.high <= 100 + 1e-9, table


def test_identical_answers_differ_by_nothing():
    paired = statistics.pair_answers(*images(8719, 0, 0, 1281))
    assert (paired.delta_pp, paired.p_value) == (0.0, 1.0)
    assert paired.interval_pp.high == pytest.approx(-paired.interval_pp.low)
    assert 0 < paired.interval_pp.high < 0.05


def test_of_no_images_nothing_is_known():
    paired = statistics.pair_answers(*images(0, 0, 0, 0))
    assert (paired.delta_pp, paired.interval_pp, paired.p_value) == (0.0, Interval(-100.0, 100.0), 1.0)


def test_holm_as_published():
    """The usual example, alpha 0.05: the fourth and the first are rejected, the third and the second aren't."""
    assert statistics.holm_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_that_of_statsmodels():
    """Of statsmodels 0.15.0, `multipletests(..., method="holm")`: equal ones, the smallest and the largest too."""
    p_values = [0.01, 0.04, 0.03, 0.005, 0.005, 1.0, 0.9, 1e-300, 0.0, 0.012, 0.0121, 0.5]
    expected = [0.08, 0.16, 0.15, 0.05, 0.05, 1.0, 1.0, 1.1e-299, 0.0, 0.084, 0.084, 1.0]
    assert statistics.holm_p_values(p_values) == expected


def test_holm_is_closed_testing_with_bonferroni():
    """A hypothesis falls where every set that holds it falls; a set, by its smallest p times its size."""
    p = [0.2, 0.011, 0.5, 0.011, 0.04, 0.9]
    sets = [chosen for size in range(1, 7) for chosen in itertools.combinations(range(6), size)]
    by_set = {chosen: min(1.0, len(chosen) * min(p[i] for i in chosen)) for chosen in sets}
    expected = [max(value for chosen, value in by_set.items() if i in chosen) for i in range(6)]
    assert statistics.holm_p_values(p) == pytest.approx(expected)


def test_holm_of_one_and_of_none():
    assert statistics.holm_p_values([0.04]) == pytest.approx([0.04])
    assert statistics.holm_p_values([]) == []


def test_confusion_as_in_the_manual_of_scikit_learn():
    labels, top = np.array([2, 0, 2, 2, 0, 1], np.uint8), np.array([0, 0, 2, 2, 0, 2])
    confusion = statistics.confusion_matrix(top, labels, 3)
    assert confusion.tolist() == [[2, 0, 0], [0, 0, 1], [1, 0, 2]]
    assert confusion.dtype == np.int64


def test_a_hundred_classes_fit_in_bytes():
    """99 times 100 classes is more than a uint8 holds."""
    confusion = statistics.confusion_matrix(np.array([98, 99], np.uint8), np.array([99, 99], np.uint8), 100)
    assert confusion.shape == (100, 100)
    assert confusion.sum() == 2
    assert confusion[99, 98] == confusion[99, 99] == 1


def test_an_answer_that_is_no_class_is_refused():
    with pytest.raises(ValueError):
        statistics.confusion_matrix(np.array([2]), np.array([0]), 2)


def test_each_class_has_its_count():
    top = np.array([0, 0, 1, 2, 1, 1, 0, 0])
    assert statistics.count_per_class(top, LABELS, 4) == [Count(2, 4), Count(2, 2), Count(0, 2), Count(0, 0)]


def test_classes_that_lose_with_the_surest_first():
    """Class 1 loses 2 of 30, class 3 loses 9 of 30, class 0 wins 9, class 2 stays, class 4 has no image."""
    tables = [(10, 0, 9, 11), (20, 2, 0, 8), (20, 3, 3, 4), (10, 9, 0, 11)]
    reference, variant = (np.concatenate(part) for part in zip(*(images(*table) for table in tables), strict=True))
    labels = np.repeat(np.arange(4, dtype=np.uint8), 30)
    losing_classes = statistics.find_losing_classes(reference, variant, labels, 5)
    assert [label for label, _ in losing_classes] == [3, 1]
    assert [lost.delta_pp for _, lost in losing_classes] == [-30.0, pytest.approx(-100 * 2 / 30)]
    assert losing_classes[0][1].p_value == pytest.approx(2 / 2**9)
    assert losing_classes[0][1].p_holm == pytest.approx(4 * 2 / 2**9), (
        "four classes were looked at, not two and not five"
    )
    assert losing_classes[1][1].p_holm == 1.0


def test_images_in_any_order_make_the_same_classes():
    order = np.array([7, 0, 3, 5, 1, 6, 2, 4])
    reference = np.array([1, 1, 1, 0, 1, 1, 0, 0], bool)
    variant = np.array([0, 0, 1, 0, 1, 1, 1, 0], bool)
    losing_classes = statistics.find_losing_classes(reference[order], variant[order], LABELS[order], 3)
    assert losing_classes == statistics.find_losing_classes(reference, variant, LABELS, 3)
    assert [(label, lost.only_reference) for label, lost in losing_classes] == [(0, 2)]


def test_a_class_that_loses_has_the_statistics_of_its_images():
    random = np.random.default_rng(5)
    labels = random.integers(0, 6, 900)
    reference, variant = random.random(900) < 0.9, random.random(900) < 0.7
    losing_classes = statistics.find_losing_classes(reference, variant, labels, 7)
    assert len(losing_classes) == 6
    for label, pairs in losing_classes:
        expected = statistics.pair_answers(reference[labels == label], variant[labels == label])
        assert replace(pairs, p_holm=None) == expected
        assert type(pairs.both_right) is int


def test_where_nothing_changed_no_class_loses():
    right = np.array([1, 0, 1, 1, 0, 0, 1, 1], bool)
    assert statistics.find_losing_classes(right, right, LABELS, 3) == []
