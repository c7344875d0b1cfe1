"""Bounds of paired losses: against published ones and other derivations, and how often they err, by counting tables.

The level is counted with a formula of the score that knows nothing of the code: on arrays, with the variance of the
likeliest shares from the equations that the papers print. That both agree is tested first.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln, ndtri
from variant_makers import assess_table

from driver.analysis import paired_shares
from driver.analysis.paired_shares import PairedCounts
from driver.analysis.results import Interval
from driver.experiment.tolerance import Tolerance

SCALES = ("difference", "ratio")
LEVEL = 0.05
CANDIDATES = (1, 9, 40)
TABLES = [
    (8648, 189, 129, 1034),
    (90, 3, 2, 5),
    (43, 0, 1, 0),
    (30, 20, 0, 0),
    (0, 10, 10, 0),
    (1, 7, 1, 12),
    (2, 40, 0, 3),
    (50, 0, 0, 0),
    (0, 3, 5, 0),
]


def quantile(level):
    return -float(ndtri(level))


def bound(table, scale, level=LEVEL):
    return paired_shares.bound_loss(PairedCounts(*table), scale, level)


# Bounds.


def find_interval(table, scale):
    """Two-sided at 95 %, without the correction for continuity that papers don't have."""
    counts, z = PairedCounts(*table), quantile(0.025)
    lowest = -0.9999 if scale == "difference" else -1000

    def distance(loss, wanted):
        return paired_shares.score(counts, loss, scale, 0.0) - wanted

    return tuple(brentq(distance, lowest, 0.9999, (wanted,)) for wanted in (-z, z))


def test_the_score_intervals_as_published():
    """Airway hyper-responsiveness: Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), 2850-2875."""
    before, after = 1, 7  # only one of the two
    low, high = find_interval((1, after, before, 12), "difference")
    assert (round(low, 3), round(high, 3)) == (0.026, 0.517), "Tango's"
    low, high = find_interval((1, after, before, 12), "ratio")
    assert (round(1 - high, 3), round(1 - low, 3)) == (0.065, 0.907), "Tang's"


@pytest.mark.parametrize(("table", "loss"), list(itertools.product(TABLES, (0.001, 0.01, 0.3))))
def test_the_variance_is_that_of_the_likeliest_shares(table, loss):
    """Found by trying shares, which needs none of the equations."""
    both, lost, won, wrong = table
    samples = sum(table)

    def unlikelihood(share):
        cells = ((lost, share + loss), (won, share), (both + wrong, 1 - 2 * share - loss))
        return -sum(count * math.log(cell) for count, cell in cells if count)

    share = minimize_scalar(unlikelihood, bounds=(1e-12, (1 - loss) / 2 - 1e-12), options={"xatol": 1e-12}).x
    expected = (won - lost + samples * loss) / math.sqrt(samples * (2 * share + loss - loss**2))
    score = paired_shares.score(PairedCounts(*table), loss, "difference", 0.0)
    assert score == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("table", "loss"), list(itertools.product(TABLES, (0.001, 0.01, 0.3))))
def test_of_a_ratio_too(table, loss):
    both, lost, won, _ = table
    samples, ratio = both + lost + won, 1 - loss

    def unlikelihood(share):  # of samples that one of the two gets right, so many are won
        right = (1 - share) * ratio - share  # what both get right
        cells = ((both, right), (lost, (1 - share) * (1 - ratio) + share), (won, share))
        return -sum(count * math.log(max(cell, 1e-300)) for count, cell in cells if count)

    most = ratio / (1 + ratio)
    share = minimize_scalar(unlikelihood, bounds=(1e-12, most - 1e-12), options={"xatol": 1e-12}).x
    share_lost, reference = (1 - share) * (1 - ratio) + share, 1 - share
    variance = samples * (reference * (ratio + ratio**2) - 2 * ratio * (reference - share_lost))
    expected = (both + won - ratio * (both + lost)) / math.sqrt(variance)
    score = paired_shares.score(PairedCounts(*table), loss, "ratio", 0.0)
    assert score == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("table", "scale", "level"), list(itertools.product(TABLES, SCALES, (0.05, 0.00125))))
def test_a_bound_is_where_the_test_turns(table, scale, level):
    counts, span = PairedCounts(*table), bound(table, scale, level)
    assert span.low <= paired_shares.estimate_loss(counts, scale) <= span.high
    for step in (-1e-6, 1e-6):
        score = paired_shares.score(counts, span.high + step, scale)
        assert (score > quantile(level)) is (step > 0)
        if math.isfinite(span.low):
            opposite = paired_shares.score(counts, span.low * (1 - step), scale, -paired_shares.CONTINUITY)
            assert (opposite < -quantile(level)) is ((span.low > 0) is (step > 0))


@pytest.mark.parametrize("table", TABLES)
def test_the_variant_and_the_reference_in_each_others_place(table):
    counts = PairedCounts(*table)
    one, other = (paired_shares.bound_loss(each, "difference", LEVEL) for each in (counts, counts.swap()))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    one, other = (paired_shares.bound_loss(each, "ratio", LEVEL) for each in (counts, counts.swap()))
    assert (1 - one.low) * (1 - other.high) == pytest.approx(1), "a ratio is turned over"
    assert (1 - one.high) * (1 - other.low) == pytest.approx(1)


@pytest.mark.parametrize("scale", SCALES)
def test_more_candidates_more_samples_and_more_differences(scale):
    usual = bound((8648, 189, 129, 1034), scale)
    stricter = bound((8648, 189, 129, 1034), scale, LEVEL / 9)
    assert stricter.low < usual.low < usual.high < stricter.high
    tenfold = bound((86480, 1890, 1290, 10340), scale)
    assert usual.low < tenfold.low < tenfold.high < usual.high
    noisier = bound((8548, 289, 229, 934), scale)
    assert noisier.low < usual.low < usual.high < noisier.high


@pytest.mark.parametrize("scale", SCALES)
def test_where_nothing_differs_the_bound_is_that_of_no_failure(scale):
    """Close to 3 / n, the rule of three."""
    assert bound((500, 0, 0, 0), scale).high == pytest.approx(3 / 500, rel=0.25)


def test_samples_that_both_get_wrong_say_nothing_of_a_ratio():
    assert bound((80, 4, 3, 0), "ratio") == bound((80, 4, 3, 50), "ratio")


@pytest.mark.parametrize("scale", SCALES)
def test_of_no_samples_nothing_is_known(scale):
    assert bound((0, 0, 0, 0), scale) == Interval(-math.inf, 1.0)


def test_where_the_reference_gets_nothing_right_there_is_no_ratio():
    assert bound((0, 0, 30, 20), "ratio") == bound((0, 0, 0, 50), "ratio") == Interval(-math.inf, 1.0)
    assert bound((0, 0, 30, 20), "difference").high < -0.4


@pytest.mark.parametrize("scale", SCALES)
def test_a_variant_that_gets_nothing_right_surely_loses(scale):
    span = bound((0, 50, 0, 50), scale)
    assert span.low > 0.4
    every = bound((0, 50, 0, 0), scale)
    assert (every.low > 0.85, every.high) == (True, 1.0)


@pytest.mark.parametrize("table", list(itertools.product((0, 1, 30), repeat=4)))
def test_every_table_has_bounds_in_order(table):
    for scale in SCALES:
        span = bound(table, scale)
        assert span.low <= span.high <= 1
        assert scale == "ratio" or sum(table) == 0 or span.low >= -1
        estimate = paired_shares.estimate_loss(PairedCounts(*table), scale)
        assert span.low <= estimate <= span.high


# Samples needed.


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("level", [0.05, 0.05 / 9])
def test_so_many_samples_as_are_needed_show_it_in_four_of_five_draws(scale, level):
    shares = np.array([0.85, 0.014, 0.011, 0.125])
    limit = 0.01
    needed = paired_shares.find_samples_needed(PairedCounts(*(1000 * shares)), limit, scale, level)
    tables = draw_tables(needed, shares, 20_000)
    power = share_shown(tables, limit, scale, [level])[0]
    assert power == pytest.approx(paired_shares.POWER, abs=0.03)


def test_the_samples_needed_do_not_depend_on_those_that_there_are():
    counts = PairedCounts(850, 14, 11, 125)
    one, other = (paired_shares.find_samples_needed(each, 0.01, "ratio", LEVEL) for each in (counts, counts.scale(10)))
    assert abs(one - other) <= 1


@pytest.mark.parametrize("scale", SCALES)
def test_no_number_of_samples_shows_what_is_beyond_the_limit(scale):
    assert paired_shares.find_samples_needed(PairedCounts(850, 30, 10, 110), 0.01, scale, LEVEL) is None
    assert paired_shares.find_samples_needed(PairedCounts(0, 0, 0, 0), 0.01, scale, LEVEL) is None


# The smallest loss.


def test_the_smallest_loss_that_samples_can_show():
    """2.5 % that differ, half of them each way: of 700 samples, about a point."""
    loss = paired_shares.find_smallest_loss(700, 0.025, LEVEL)
    assert loss == pytest.approx(0.01, abs=0.002)
    assert paired_shares.find_smallest_loss(10_000, 0.025, LEVEL) == pytest.approx(0.0027, abs=0.0002)
    assert paired_shares.find_smallest_loss(700, 0.025, LEVEL / 9) > loss
    assert paired_shares.find_smallest_loss(700, 0.1, LEVEL) > loss
    assert paired_shares.find_smallest_loss(500, 0.0, LEVEL) == bound((500, 0, 0, 0), "difference").high


# How often a variant that loses just the tolerance is shown good enough.


def compute_scores(lost, won, both, samples, limit, scale):
    """Of arrays of counts: the likeliest share won is the larger root of a quadratic equation."""
    if scale == "difference":
        total, square = samples, 2 * samples
        linear = (2 * samples - lost + won) * limit - lost - won
        constant = -won * limit * (1 - limit)
    else:
        ratio, total = 1 - limit, both + lost + won
        square = total * ratio * (1 + ratio)
        linear = both * (1 - ratio**2) - lost * ratio**2 - won * (2 * ratio**2 - 1)
        constant = -won * ratio * (1 - ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0)) - linear) / (2 * square)
        if scale == "difference":
            variance, observed = total * (2 * share + limit * (1 - limit)), won - lost + total * limit
        else:
            variance = total * ratio * (limit + (1 + ratio) * share)
            observed = both + won - ratio * (both + lost)
        scores = (observed - 0.5) / np.sqrt(variance)
    return np.where(total > 0, scores, -np.inf)


def find_shares(accuracy, discordant, limit, scale):
    """(both, lost, won, wrong) of a variant that loses just the limit; None where there is none."""
    margin = limit * accuracy if scale == "ratio" else limit
    lost, won = (discordant + margin) / 2, (discordant - margin) / 2
    shares = np.array([accuracy - lost, lost, won, 1 - accuracy - won])
    return np.maximum(shares, 0) if shares.min() >= -1e-12 else None


def draw_tables(samples, shares, draws, seed=5):
    """Unique (both, lost, won, wrong) of so many draws, and how many draws had each."""
    return np.unique(np.random.default_rng(seed).multinomial(samples, shares, draws), axis=0, return_counts=True)


def share_shown(tables, limit, scale, levels):
    """In which share of the draws it is shown, at each level."""
    counts, times = tables
    both, lost, won, _ = counts.astype(np.float64).T
    scores = compute_scores(lost, won, both, counts[0].sum(), limit, scale)
    return [times[scores > quantile(level)].sum() / times.sum() for level in levels]


def list_counts(samples, share):
    """All that have a probability worth counting."""
    spread = 7 * math.sqrt(samples * share * (1 - share)) + 7
    low, high = max(0, math.floor(samples * share - spread)), min(samples, math.ceil(samples * share + spread))
    return np.arange(low, high + 1, dtype=np.float64)


def compute_level(samples, shares, limit, scale, levels):
    """The probability that it is shown, at each level, over all tables."""
    both, lost, won = np.meshgrid(*(list_counts(samples, share) for share in shares[:3]), indexing="ij", sparse=True)
    wrong = samples - both - lost - won
    logarithm = gammaln(samples + 1.0)
    for count, share in zip((both, lost, won, np.maximum(wrong, 0)), shares, strict=True):
        logarithm = logarithm - gammaln(count + 1) + (count * math.log(share) if share else np.where(count, -np.inf, 0))
    probability = np.where(wrong < 0, 0, np.exp(logarithm))
    scores = compute_scores(lost, won, both, float(samples), limit, scale)
    assert probability.sum() == pytest.approx(1, abs=1e-6)
    return [float(np.where(scores > quantile(level), probability, 0).sum()) for level in levels]


ACCURACIES, LIMITS = (0.5, 0.88, 0.99), (0.005, 0.01, 0.05)
DISCORDANT = (0.005, 0.01, 0.02, 0.05, 0.1)


def list_cases(scale):
    for accuracy, limit, discordant in itertools.product(ACCURACIES, LIMITS, DISCORDANT):
        shares = find_shares(accuracy, discordant, limit, scale)
        if shares is not None:
            yield shares, limit


@pytest.mark.parametrize("scale", SCALES)
def test_the_scores_on_arrays_are_those_of_the_code(scale):
    """And the outcome of an assessment is that of the test."""
    random = np.random.default_rng(6)
    for shares, limit in list_cases(scale):
        for samples in (50, 200, 5000):
            both, lost, won, wrong = random.multinomial(samples, shares)
            expected = compute_scores(*map(np.float64, (lost, won, both, samples)), limit, scale)
            counts = PairedCounts(both, lost, won, wrong)
            assert paired_shares.score(counts, limit, scale) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
            tolerance = Tolerance(100 * limit, "percent" if scale == "ratio" else "points")
            for candidates in CANDIDATES:
                shown = assess_table(counts, candidates, tolerance=tolerance).outcome == "good_enough"
                assert shown is bool(expected > quantile(LEVEL / candidates))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("samples", [50, 100, 200])
def test_the_level_holds_over_all_tables(scale, samples):
    """Of each of 1, 9 and 40 candidates that all lose just the limit: at most 5 % that any is shown good enough."""
    levels = [LEVEL / candidates for candidates in CANDIDATES]
    most = np.zeros(len(levels))
    for shares, limit in list_cases(scale):
        most = np.maximum(most, compute_level(samples, shares, limit, scale, levels))
    assert (most <= levels).all(), most


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("samples", [500, 2000, 10_000])
def test_the_level_holds_for_more_samples(scale, samples):
    """Within 4 standard deviations of what so many draws tell."""
    draws = 40_000
    levels = np.array([LEVEL / candidates for candidates in CANDIDATES])
    for shares, limit in list_cases(scale):
        shown = share_shown(draw_tables(samples, shares, draws), limit, scale, levels)
        assert (shown <= levels + 4 * np.sqrt(levels * (1 - levels) / draws)).all(), (shares, limit, shown)


def test_with_many_samples_the_level_is_used():
    """A test that shows nothing would hold it too."""
    shares = find_shares(0.88, 0.05, 0.01, "ratio")
    [shown] = share_shown(draw_tables(10_000, shares, 40_000), 0.01, "ratio", [LEVEL])
    assert shown > 0.04
