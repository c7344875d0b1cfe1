"""Ratios of timings and how sure they are, the noise of repeats, threads that cost time, what is known too little."""

import math
from dataclasses import replace

import numpy as np
import pytest
from evidence_makers import timings
from pytest import approx
from scipy.stats import t

from driver.analysis import speed, timing_summary
from driver.analysis.facts import MoreThreadsSlower
from driver.analysis.results import Noise, Timing
from shared.measure.timing import REPEAT_SUFFIX

FLOAT, INT8 = "onnx.fp32", "onnx.int8"


def timing(*passes, batch=1, threads=1):
    """Of passes with these medians, in milliseconds."""
    p50 = float(np.median(passes))
    return Timing(batch, threads, p50, p50, p50, len(passes), 1000 * batch / p50, passes)


# Ratios.


@pytest.mark.parametrize("confidence", [0.95, 0.9, 0.5])
def test_the_interval_is_student_s_of_the_logarithms_of_the_ratios(confidence):
    """Ratios of 2, 4 and 8: in steps of ln 2 around ln 4."""
    span = speed.compute_ratio(timing(1, 1, 1), timing(2, 4, 8), confidence)
    half = t.ppf(0.5 + confidence / 2, 2) * math.log(2) / math.sqrt(3)
    assert (span.low, span.high) == (approx(4 / math.exp(half)), approx(4 * math.exp(half)))


def test_it_is_of_how_many_times_as_long_the_other_takes():
    span = speed.compute_ratio(timing(1, 1.1, 0.9), timing(3, 3.3, 2.7))
    assert (span.low, span.high) == (approx(3), approx(3))


def test_the_other_way_round_it_is_the_inverse():
    one, other = timing(1, 1.2, 1.1, 0.9), timing(1.5, 1.7, 1.9, 1.4)
    span, inverse = speed.compute_ratio(one, other), speed.compute_ratio(other, one)
    assert (span.low, span.high) == (approx(1 / inverse.high), approx(1 / inverse.low))
    assert span.low < span.high


def test_passes_are_paired_a_machine_that_is_slow_in_one_pass_is_slow_for_both():
    span = speed.compute_ratio(timing(1, 5, 1), timing(2, 10, 2.02))
    assert span.high / span.low < 1.03


def test_more_passes_tell_more():
    few, many = (speed.compute_ratio(timing(*[1, 1] * n), timing(*[2, 2.2] * n)) for n in (2, 6))
    assert many.high / many.low < few.high / few.low


@pytest.mark.parametrize(("one", "other"), [((1,), (2,)), ((1, 1, 1), (2, 2)), ((), ())])
def test_of_fewer_than_two_common_passes_there_is_no_interval(one, other):
    timings_of = [Timing(1, 1, 1.0, 1.0, 1.0, 1, 1.0, passes) for passes in (one, other)]
    assert speed.compute_ratio(*timings_of) is None


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Within 4 standard deviations of what 2000 draws of five passes tell."""
    random, truth, covered = np.random.default_rng(5), 1.3, 0
    for _ in range(2000):
        drift = random.normal(0, 0.2, 5)  # of the machine, which both share
        one, other = (
            timing(*np.exp(math.log(factor) + drift + random.normal(0, 0.05, 5)).tolist()) for factor in (1, truth)
        )
        span = speed.compute_ratio(one, other)
        covered += span.low <= truth <= span.high
    assert covered / 2000 == approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 2000))


# Noise.


def compute_noise(table):
    return list(speed.compute_noise("onnx", table))


@pytest.mark.parametrize("passes", [(1.01, 0.97, 1.02, 0.99), (1.05, 0.99, 1.08, 1.04), (0.95, 0.99, 0.92, 0.96)])
def test_noise_is_the_far_end_of_the_interval_of_the_repeat(passes):
    first, repeat = timing(1, 1, 1, 1), timing(*passes)
    (noise,) = compute_noise({INT8: (first,), INT8 + REPEAT_SUFFIX: (repeat,)})
    span = speed.compute_ratio(first, repeat)
    assert noise == Noise("onnx", INT8, approx(max(span.high - 1, 1 / span.low - 1)))
    assert noise.share > 0.02, "more than the mean of what was seen"


@pytest.mark.parametrize("other", [1.25, 0.8])
def test_of_a_single_pass_noise_is_the_ratio_in_either_direction(other):
    (noise,) = compute_noise({INT8: (timing(1),), INT8 + REPEAT_SUFFIX: (timing(other),)})
    assert noise == Noise("onnx", INT8, approx(0.25))


def test_each_repeat_has_a_noise_of_its_own():
    """8-bit kernels have another one than those in float."""
    table = {FLOAT: (timing(1),), INT8: (timing(1),)}
    table |= {FLOAT + REPEAT_SUFFIX: (timing(1.01),), INT8 + REPEAT_SUFFIX: (timing(1.3),)}
    assert compute_noise(table) == [Noise("onnx", FLOAT, approx(0.01)), Noise("onnx", INT8, approx(0.3))]


def test_noise_is_that_of_one_sample_a_call_on_one_thread():
    others = [{"batch": 50}, {"threads": 2}]
    first = (timing(5), *(timing(5, **other) for other in others))
    repeat = (timing(5.1), *(timing(9, **other) for other in others))
    assert compute_noise({INT8: first, INT8 + REPEAT_SUFFIX: repeat}) == [Noise("onnx", INT8, approx(0.02))]


@pytest.mark.parametrize(
    "table",
    [
        {},
        {INT8: (timing(1),)},
        {INT8 + REPEAT_SUFFIX: (timing(1),)},
        {INT8: (timing(1),), INT8 + REPEAT_SUFFIX: (timing(1, threads=2),)},
        {INT8: (timing(1, 9),), INT8 + REPEAT_SUFFIX: (timing(9),)},
    ],
    ids=["nothing", "no-repeat", "no-first", "other-threads", "a-pass-without-repeat"],
)
def test_where_a_repeat_lacks_nothing_is_known_of_the_noise(table):
    assert compute_noise(table) == []


def test_noise_of_what_a_stage_writes():
    passes = [timings(FLOAT, INT8, single=[[0.01]], repeat=[[0.01 * (1 + share)]]) for share in (0.01, 0.02)]
    noise = compute_noise(timing_summary.summarize_timings(passes))
    assert [item.repeat_of for item in noise] == [FLOAT, INT8]
    assert all(item.share > 0.02 for item in noise)


# Threads.


def slow_threads(*table):
    return list(speed.find_slow_threads(table))


def test_threads_that_cost_more_time_than_they_save_are_named_with_their_batch():
    table = (timing(1.0), timing(1.3, threads=2), timing(8.0, batch=64), timing(5.0, batch=64, threads=2))
    assert slow_threads(*table) == [MoreThreadsSlower(1, 2, approx(1.3))]


@pytest.mark.parametrize(("two", "found"), [(0.6, False), (1.1, False), (1.11, True)])
def test_a_tenth_more_is_within_the_noise_of_many_machines(two, found):
    assert bool(slow_threads(timing(1.0), timing(two, threads=2))) is found


def test_the_slowest_number_of_threads_is_named():
    table = (timing(2.0), timing(3.0, threads=2), timing(5.0, threads=4), timing(4.0, threads=8))
    assert slow_threads(*table) == [MoreThreadsSlower(1, 4, approx(2.5))]


def test_each_batch_is_compared_with_itself():
    table = (timing(1.0), timing(8.0, batch=64), timing(10.0, batch=64, threads=2))
    assert slow_threads(*table) == [MoreThreadsSlower(64, 2, approx(1.25))]
    assert slow_threads(timing(1.0), timing(8.0, batch=64, threads=2)) == slow_threads() == []


# What isn't known well enough.


NOISY = timing(1.0, 1.4, 0.9)


def widest(*tables, reference="keras.fp32"):
    return speed.find_widest(tables, reference)


def test_the_width_is_half_of_the_interval_as_a_share_of_the_ratio():
    base, fast = timing(2, 2, 2), NOISY
    span = speed.compute_ratio(fast, base)
    width = widest({"keras.fp32": (base,)}, {INT8: (fast,)})
    assert width == approx(math.sqrt(span.high / span.low) - 1)
    middle = math.sqrt(span.high * span.low)
    assert (middle * (1 + width), middle / (1 + width)) == (approx(span.high), approx(span.low))


def test_of_each_image_the_fastest_variant_decides_and_the_widest_of_these_counts():
    base, steady, slow = timing(2, 2, 2), timing(1, 1, 1), timing(9, 4, 19)
    alone = widest({"keras.fp32": (base,)}, {"torch.int8": (NOISY,)})
    assert widest({"keras.fp32": (base,)}, {INT8: (steady,), FLOAT: (slow,)}) == approx(0)
    assert widest({"keras.fp32": (base,)}, {INT8: (steady,)}, {"torch.int8": (NOISY,)}) == approx(alone)
    assert widest({"keras.fp32": (base,)}, {"torch.int8": (NOISY,)}, {INT8: (steady,)}) == approx(alone)


def test_a_variant_beside_the_reference_counts_though_it_is_slower():
    table = {"onnx.fp32": (timing(0.1, 0.1, 0.1),), INT8: (NOISY,)}
    assert widest(table, reference="onnx.fp32") > 0.1


def test_the_reference_and_repeats_are_nothing_to_compare_it_with():
    table = {"keras.fp32": (NOISY,), "keras.fp32" + REPEAT_SUFFIX: (timing(0.5, 0.1, 0.9),)}
    assert widest(table) == 0
    repeated = {INT8: (timing(1, 1, 1),), INT8 + REPEAT_SUFFIX: (timing(0.5, 0.1, 0.9),)}
    assert widest({"keras.fp32": (timing(2, 2, 2),)}, repeated) == approx(0)


def test_of_one_pass_nothing_is_known():
    assert widest({"keras.fp32": (timing(2),)}, {INT8: (timing(1),)}) == math.inf


def test_without_the_reference_there_is_nothing_to_learn():
    assert widest({INT8: (NOISY,)}) == widest() == 0
    assert widest({"keras.fp32": (timing(2, 2, threads=2),)}, {INT8: (NOISY,)}) == 0


def test_other_batches_and_threads_do_not_count():
    more = tuple(replace(NOISY, threads=threads, batch=batch) for threads, batch in ((2, 1), (1, 64)))
    table = {INT8: (*more, timing(1, 1, 1))}
    assert widest({"keras.fp32": (timing(2, 2, 2), *more)}, table) == approx(0)
