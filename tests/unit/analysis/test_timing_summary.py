"""Figures that can be worked out by hand."""

import numpy as np
import pytest
from evidence_makers import BATCH, QUIET, timings
from pytest import approx
from variant_makers import accuracy_of, difference_of

from driver.analysis import timing_summary
from driver.analysis.evaluation import Answer, Truth
from driver.analysis.facts import BusyMachine, NotInterleaved, SharedMachine, ThrottledMachine
from driver.analysis.results import Cold, Latency, Timing, Variant
from driver.comparison.compare import add_metrics
from shared.data.samples import About
from shared.measure.startup import Start
from shared.measure.timing import REPEAT_SUFFIX, Samples, Timings

LABELS = np.array([0, 1, 2, 0], np.uint8)
REFERENCE = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.1, 0.6, 0.3]], np.float32)  # 3 of 4 right


def figures(answers, labels, reference):
    """What a row tells of its accuracy and its drift."""
    truth = Truth(About(), labels, reference=reference)
    own, base = Answer(truth, answers), None if reference is None else Answer(truth, reference)
    row = add_metrics(Variant("onnx.int8", "onnx", "int8", "ok"), own, base)
    values = {
        "accuracy": accuracy_of(row),
        "delta_pp": difference_of(row),
        "agreement": row.agreement,
        "max_abs_diff": row.max_abs_diff,
    }
    return {name: value for name, value in values.items() if value is not None}


def test_the_reference_against_itself():
    assert figures(REFERENCE, LABELS, REFERENCE) == {
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
    metrics = figures(answers, LABELS, REFERENCE)
    assert metrics == {
        "accuracy": 0.5,
        "delta_pp": -25.0,
        "agreement": 0.5,
        "max_abs_diff": pytest.approx(0.5, abs=1e-6),
    }


def test_a_variant_may_be_better():
    answers = REFERENCE.copy()
    answers[3] = [0.6, 0.1, 0.3]
    assert figures(answers, LABELS, REFERENCE)["delta_pp"] == 25.0


def test_a_difference_is_not_spoilt_by_rounding():
    """8837 against 8777 of 10,000 is 0.6 points, not 0.5999999999999894."""
    labels = np.zeros(10_000, np.uint8)
    answers, reference = np.zeros((2, 10_000, 2), np.float32)
    answers[:, 1], reference[:, 1] = np.arange(10_000) >= 8777, np.arange(10_000) >= 8837
    assert figures(answers, labels, reference)["delta_pp"] == -0.6


def test_without_a_reference_there_is_accuracy_alone():
    assert figures(REFERENCE, LABELS, None) == {"accuracy": 0.75}


def test_a_difference_in_either_direction_counts():
    answers = REFERENCE.copy()
    answers[1, 1] -= np.float32(0.25)
    assert figures(answers, LABELS, REFERENCE)["max_abs_diff"] == pytest.approx(0.25)


def test_timings_over_all_rounds():
    """Eleven calls of 1 to 11 ms; of three batches of 50, the median takes 0.1 s."""
    rounds = [[0.011, 0.001, 0.002, 0.003, 0.004], [0.005, 0.006, 0.007, 0.008, 0.009, 0.010]]
    table = timing_summary.summarize_timings([timings("a", single=rounds, many=[[0.1], [0.05], [0.9]])])
    columns = timing_summary.select_columns(table["a"])
    assert columns["latency_ms"] == Latency(approx(6.0), approx(10.0), approx(10.9), 11)
    assert columns["images_per_second"] == approx(500.0)
    assert columns["timings"] == table["a"]
    assert set(columns) == {"latency_ms", "images_per_second", "timings"}


def test_a_table_has_each_batch_size_and_number_of_threads():
    table = timing_summary.summarize_timings([timings("a", "b")])
    assert list(table) == ["a", "b", "a" + REPEAT_SUFFIX]
    for each in table.values():
        assert [(timing.threads, timing.batch) for timing in each] == [(1, 1), (1, BATCH), (2, 1), (2, BATCH)]


def passes(*milliseconds, **machine):
    """A start for each of `milliseconds`, with three calls around it."""
    return [
        timings("a", single=[[each / 1000, (each - 1) / 1000, (each + 1) / 1000]], started=float(turn), **machine)
        for turn, each in enumerate(milliseconds)
    ]


def test_a_figure_is_the_median_over_the_passes_of_that_of_each():
    """All calls in one heap would give 5 ms as well, yet 42 ms for p90."""
    (timing, *_) = timing_summary.summarize_timings(passes(4, 50, 5))["a"]
    assert timing == Timing(
        batch=1, threads=1, p50=approx(5.0), p90=approx(5.8), p99=approx(5.98), samples=9,
        images_per_second=approx(200.0), passes=(approx(4.0), approx(50.0), approx(5.0)),
    )  # fmt: skip


def test_a_variant_that_one_pass_lacks_has_the_figures_of_the_others():
    table = timing_summary.summarize_timings([timings("a", "b"), timings("a")])
    assert [table[name][0].samples for name in ("a", "b")] == [4, 2]


def test_the_main_table_is_of_one_thread():
    one, two = Timing(1, 1, 5, 6, 7, 9, 200, (5,)), Timing(1, 2, 3, 4, 5, 9, 333, (3,))
    many, more = Timing(64, 1, 100, 0, 0, 9, 640, (100,)), Timing(64, 2, 50, 0, 0, 9, 1280, (50,))
    columns = timing_summary.select_columns((one, many, two, more))
    assert (columns["latency_ms"], columns["images_per_second"]) == (Latency(5, 6, 7, 9), 640)
    assert timing_summary.select_columns(()) == {"timings": ()}


def test_images_a_second_where_the_larger_batch_is_one_image_too():
    """`batch_size: 1` is allowed, and so is a test set of a single image."""
    single, many = (Samples("a", 1, 1, (calls,)) for calls in ((0.001, 0.003), (0.002,)))
    table = timing_summary.summarize_timings([Timings(QUIET, (single, many))])["a"]
    assert [each.passes for each in table] == [(approx(2.0),)], "one p50 a pass"
    assert timing_summary.select_columns(table)["images_per_second"] == approx(500.0)


STARTS = [Start(0.1, 0.2, answered, int(1000 * answered)) for answered in (3.0, 1.0, 2.0)]


@pytest.mark.parametrize(("count", "answered"), [(1, 3.0), (2, 3.0), (3, 2.0)])
def test_of_several_cold_starts_the_one_in_the_middle_is_told_whole(count, answered):
    assert timing_summary.pick_median_start(STARTS[:count]) == Cold(0.1, 0.2, answered, int(1000 * answered))


def machines(**changes):
    """Two images in turn, with one pass on a machine that was not quiet."""
    return {
        "keras": [timings("a", started=1.0), timings("a", started=3.0, **changes)],
        "onnx": [timings("b", started=2.0), timings("b", started=4.0)],
    }


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"others": 0.25}, BusyMachine(0.25)),
        ({"steal": 0.034}, SharedMachine(0.034)),
        ({"slowest_mhz": 1500.0, "fastest_mhz": 3000.0}, ThrottledMachine()),
    ],
)
def test_what_makes_timings_doubtful_is_one_warning(changes, warning):
    assert timing_summary.find_doubts(machines(**changes)) == (warning,)


@pytest.mark.parametrize(
    "changes",
    [{}, {"others": 0.1}, {"steal": 0.01}, {"slowest_mhz": 2400.0, "fastest_mhz": 3000.0}, {"fastest_mhz": 3000.0}],
)
def test_a_quiet_machine_needs_no_warning(changes):
    assert timing_summary.find_doubts(machines(**changes)) == ()


def test_every_warning_is_given():
    loud = machines(others=1.0, steal=0.5, slowest_mhz=1.0, fastest_mhz=2.0)
    kinds = [warning.kind for warning in timing_summary.find_doubts(loud)]
    assert kinds == ["busy_machine", "shared_machine", "throttled_machine"]


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ({"keras": [1, 4], "onnx": [2, 5], "torch": [3, 6]}, ()),
        ({"keras": [1, 4], "onnx": [3, 5], "torch": [2, 6]}, ()),
        ({"keras": [1, 2], "onnx": [3, 4]}, (NotInterleaved(),)),
        ({"keras": [1, 4], "onnx": [2, 3]}, ()),
        ({"keras": [1, 3], "onnx": [2, 6], "torch": [4, 5]}, (NotInterleaved(),)),
        ({"keras": [1, 2, 3]}, ()),
        ({"keras": [1], "onnx": [2]}, ()),
        ({}, ()),
    ],
)
def test_images_that_were_not_timed_in_turn_are_told(starts, expected):
    passes = {image: [timings("a", started=float(each)) for each in times] for image, times in starts.items()}
    assert timing_summary.find_doubts(passes) == expected
