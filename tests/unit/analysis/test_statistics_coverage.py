"""By simulation: intervals hold what they promise, the test errs as seldom as it says, and finds what it should.

Each figure is a share of seeded draws: of 1,000, and of 4,000 in the long tests. Of a true share p it lies within
4 * sqrt(p * (1 - p) / draws) in all but one case of 16,000: of 4,000 draws within 0.014 for 95 %, 0.025 for 80 %.
"""

import functools
import math

import numpy as np
import pytest

from driver.analysis import statistics

ACCURACY = 0.87


@pytest.fixture(scope="module", params=[1000, pytest.param(4000, marks=pytest.mark.long)])
def draws(request):
    return request.param


def noise(share, draws):
    return 4 * math.sqrt(share * (1 - share) / draws)


def tables(draws, images, discordant, drop, seed=1):
    """(draws, 4) counts as in `Paired`: the reference's accuracy is ACCURACY, the variant's less by `drop`."""
    only_reference, only_variant = (discordant + drop) / 2, (discordant - drop) / 2
    both_right = ACCURACY - only_reference
    shares = [both_right, only_reference, only_variant, 1 - both_right - only_reference - only_variant]
    return np.random.default_rng(seed).multinomial(images, shares, draws).tolist()


wilson, newcombe = functools.cache(statistics.wilson_interval), functools.cache(statistics.newcombe_interval)


@functools.cache
def p_value(only_reference, only_variant):
    counts = (only_reference, only_variant)
    return statistics.pair_answers(np.repeat([True, False], counts), np.repeat([False, True], counts)).p_value


def found(draws, images, discordant, drop, alpha=0.05):
    """The share of draws in which the test tells a difference."""
    return np.mean([p_value(b, c) <= alpha for _, b, c, _ in tables(draws, images, discordant, drop)])


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize(("images", "share"), [(10_000, 0.87), (1000, 0.5), (200, 0.87)])
def test_wilson_holds_the_share(draws, images, share, confidence):
    """Within noise, and half a point more: the number of images is whole, which moves the true coverage by that."""
    rights = np.random.default_rng(2).binomial(images, share, draws).tolist()
    intervals = [wilson(right, images, confidence) for right in rights]
    coverage = np.mean([interval.low <= share <= interval.high for interval in intervals])
    assert coverage == pytest.approx(confidence, abs=noise(confidence, draws) + 0.005)


@pytest.mark.parametrize(
    ("images", "discordant", "drop"),
    [(10_000, 0.02, 0.0), (10_000, 0.02, 0.005), (1000, 0.1, -0.03), (200, 0.2, 0.1)],
)
def test_the_paired_interval_holds_the_difference(draws, images, discordant, drop):
    intervals = [newcombe(*table) for table in tables(draws, images, discordant, drop)]
    coverage = np.mean([interval.low <= -100 * drop <= interval.high for interval in intervals])
    assert coverage == pytest.approx(0.95, abs=noise(0.95, draws))


@pytest.mark.parametrize(("images", "discordant"), [(10_000, 0.0005), (200, 0.01), (20, 0.1)])
def test_with_few_discordant_images_the_paired_interval_is_cautious(draws, images, discordant):
    intervals = [newcombe(*table) for table in tables(draws, images, discordant, 0.0)]
    assert np.mean([interval.low <= 0 <= interval.high for interval in intervals]) >= 0.95 - noise(0.95, draws)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.5])
@pytest.mark.parametrize(("images", "discordant"), [(10_000, 0.02), (500, 0.04)])
def test_the_exact_test_errs_no_more_than_it_says(draws, images, discordant, alpha):
    assert found(draws, images, discordant, 0.0, alpha) <= alpha + noise(alpha, draws)


def test_nor_does_it_never_err(draws):
    """With 200 discordant images it is cautious by little."""
    assert found(draws, 10_000, 0.02, 0.0, 0.05) >= 0.05 - 0.015
    assert found(draws, 10_000, 0.02, 0.0, 0.5) >= 0.5 - 0.07
