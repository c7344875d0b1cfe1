"""How far a run is, and what it says of the time that is left: nothing rather than a guess."""

import doctest

import pytest
from evidence_makers import Volume, default_experiment

from driver.cli import run_progress
from driver.cli.run_progress import RunProgress, describe_duration, read_earlier_seconds
from shared.contract import Step


def step(output, run="quantize"):
    return Step(output, "onnx", run, (), (), {}, True)


@pytest.fixture
def clock():
    """A list whose last item is the time."""
    return [0.0]


def make(clock, steps, earlier=()):
    return RunProgress(steps, dict(earlier), lambda: clock[-1])


STEPS = [step("a", "dataset"), step("b"), step("c"), step("d", "latency")]
EARLIER = {"a": 10.0, "b": 60.0, "c": 60.0, "d": 110.0}


def test_what_is_made_fresh_or_skipped_counts_once(clock):
    run = make(clock, STEPS)
    assert (run.done, run.total) == (0, 4)
    run.finish("a", None)
    run.finish("b", 1.0)
    run.finish("b", None)
    run.finish("elsewhere", 1.0)
    assert (run.done, run.total) == (2, 4)


def test_the_time_of_an_earlier_run_is_that_of_this_one(clock):
    run = make(clock, STEPS, EARLIER)
    assert run.estimate_seconds() == 240.0
    run.start("a")
    clock.append(10.0)
    run.finish("a", 10.0)
    assert run.estimate_seconds() == 230.0
    run.finish("b", None)
    assert run.estimate_seconds() == 170.0, "what is fresh takes no time"


def test_the_step_that_runs_counts_down_and_never_below_nothing(clock):
    run = make(clock, STEPS, EARLIER)
    run.start("a")
    for seconds, left in ((4.0, 236.0), (10.0, 230.0), (1000.0, 230.0)):
        clock.append(seconds)
        assert run.estimate_seconds() == left


def test_what_the_start_of_an_image_takes_is_part_of_the_estimate(clock):
    run = make(clock, STEPS, EARLIER)
    clock.append(15.0)
    run.finish("a", 10.0)
    assert run.estimate_seconds() == 230.0 + 3 * 5.0


def test_without_an_earlier_run_a_step_is_as_long_as_those_of_its_stage(clock):
    run = make(clock, STEPS[:3])
    assert run.estimate_seconds() is None
    for output, seconds in (("a", 1.0), ("b", 30.0)):
        clock.append(clock[-1] + seconds)
        run.finish(output, seconds)
    assert run.estimate_seconds() == pytest.approx(30.0)


def test_a_little_that_is_unknown_is_taken_for_typical_and_much_gives_no_estimate(clock):
    alike = [step(f"q{number}") for number in range(5)]
    run = make(clock, [*alike, *STEPS[3:]])
    clock.append(20.0)
    run.finish("q0", 20.0)
    assert run.estimate_seconds() == pytest.approx(100.0), "one of five is unknown"
    run = make(clock, [*alike[:2], *STEPS[3:]])
    run.finish("q0", 20.0)
    assert run.estimate_seconds() is None
    assert run.describe_remaining() == ""


def test_nothing_is_said_at_the_end(clock):
    run = make(clock, STEPS[:1], EARLIER)
    assert run.describe_remaining() == "about 1 min left"
    run.finish("a", 10.0)
    assert run.describe_remaining() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "about 1 min"),
        (59, "about 1 min"),
        (60, "about 1 min"),
        (61, "about 2 min"),
        (3540, "about 59 min"),
        (3541, "about 1 h"),
        (3601, "about 1 h 10 min"),
        (7200, "about 2 h"),
    ],
)
def test_durations_are_rounded_up(seconds, text):
    assert describe_duration(seconds) == text


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(run_progress).failed == 0


@pytest.mark.usefixtures("volumes")
def test_the_seconds_of_an_earlier_run_are_those_of_the_manifests():
    volume = Volume(default_experiment(recipes={"onnx": {"int8": {}}}))
    volume.publish("input.model")
    volume.publish("dataset")
    seconds = read_earlier_seconds(volume.plan, volume.plan.steps)
    assert list(seconds) == ["dataset"]
    assert seconds["dataset"] > 0
