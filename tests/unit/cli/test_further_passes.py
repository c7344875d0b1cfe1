"""When a run times once more: while that can tell something, and the experiment's time for it isn't spent."""

from dataclasses import asdict

import pytest
from evidence_makers import ORDER, Volume, default_experiment, timings

from driver.cli import timing
from driver.experiment.model import TimingBudget
from driver.plan.expand import MOST_TURNS
from shared.artifacts.freshness import Freshness

pytestmark = pytest.mark.usefixtures("volumes")
NAMES = {image: [name for name in ORDER[:-1] if name.startswith(image)] for image in ("keras", "onnx", "torch")}
PASSES = 5  # that are always made
UNSTEADY = (1.0, 1.3, 0.8, 1.2, 0.9)  # by what the times of a file differ from one start of the process to the next


class Timed(Volume):
    """A volume with all variants and no timings yet."""

    def __init__(self, budget=40):
        super().__init__(default_experiment(timing=TimingBudget(budget)))
        self.start()
        for name in ORDER[1:-1]:
            self.variant(name, self.found(name))

    def time(self, image, turn, factor=1.0, seconds=1.0):
        output = f"latency.{image}" if turn == 1 else f"latency.{image}.{turn}"
        measured = timings(*NAMES[image], single=((0.001 * factor,),))
        self.publish(output, {"samples.json": asdict(measured)}, seconds=seconds)

    def time_all(self, factors=(1.0,) * PASSES, images=tuple(NAMES), **changes):
        """All images in turn; only those of onnx vary."""
        for turn, factor in enumerate(factors, 1):
            for image in images:
                self.time(image, turn, factor if image == "onnx" else 1.0, **changes)
        return self

    def find_next(self):
        return timing.find_next_pass(Freshness(self.plan), self.experiment)


def test_what_is_not_known_well_enough_is_timed_once_more_in_each_image():
    volume = Timed().time_all(UNSTEADY)
    assert volume.find_next() == ["latency.keras.6", "latency.onnx.6", "latency.torch.6"]
    assert [volume.plan.step(name).default for name in volume.find_next()] == [False] * 3


def test_an_image_that_lags_behind_catches_up_first():
    volume = Timed().time_all(UNSTEADY)
    volume.time("keras", 6)
    volume.time("torch", 6)
    assert volume.find_next() == ["latency.onnx.6"]
    volume.time("onnx", 6)
    assert volume.find_next() == ["latency.keras.7", "latency.onnx.7", "latency.torch.7"]


def test_what_is_known_well_enough_is_not_timed_again():
    assert Timed().time_all().find_next() == []
    assert Timed().time_all((1.0, 1.001, 0.999, 1.002, 0.998)).find_next() == []


def test_more_passes_make_it_known():
    """The same spread over more passes, but not all that there may be: the interval becomes narrow enough."""
    spread = (1.0, 1.08, 0.94)
    assert Timed().time_all((*spread, *spread[:2])).find_next() != []
    assert Timed().time_all(spread * 4).find_next() == []


@pytest.mark.parametrize(("seconds", "more"), [(2.6, True), (2.7, False)])
def test_the_time_for_it_is_spent(seconds, more):
    """15 passes so far: 39 seconds, or 40.5 of 40."""
    assert bool(Timed(40).time_all(UNSTEADY, seconds=seconds).find_next()) is more


def test_passes_beyond_the_usual_ones_count_too():
    volume = Timed(40).time_all(UNSTEADY, seconds=2.5)
    volume.time("keras", 6, seconds=2.5)
    assert volume.find_next() == []


def test_without_a_budget_there_are_no_more_passes():
    volume = Timed(0)
    assert sum(step.run == "latency" for step in volume.plan.steps) == 3 * PASSES
    assert volume.time_all(UNSTEADY).find_next() == []


def test_there_is_a_last_pass():
    volume = Timed().time_all(UNSTEADY * 3, seconds=0.5)
    assert len(UNSTEADY * 3) == MOST_TURNS
    assert volume.find_next() == []


def test_nothing_is_timed_more_where_a_usual_pass_is_missing():
    assert Timed().find_next() == []
    assert Timed().time_all(UNSTEADY[:4]).find_next() == []
    volume = Timed().time_all(UNSTEADY)
    volume.remove("latency.torch.3")
    assert volume.find_next() == []


def test_timings_that_are_out_of_date_do_not_count():
    volume = Timed().time_all(UNSTEADY)
    volume.variant("onnx.int8", volume.found("onnx.int8"), size=999)
    assert volume.find_next() == []


def test_without_the_reference_s_timings_there_is_nothing_to_compare():
    """Here the keras image times none of its variants."""
    volume = Timed().time_all(UNSTEADY, images=("onnx", "torch"))
    for turn in range(1, PASSES + 1):
        output = "latency.keras" if turn == 1 else f"latency.keras.{turn}"
        volume.publish(output, {"samples.json": asdict(timings())})
    assert volume.find_next() == []


def test_seconds_are_those_of_the_manifests_that_are_up_to_date():
    volume = Timed().time_all(UNSTEADY, seconds=2.5)
    passes = [step for step in volume.plan.steps if step.run == "latency"]
    assert timing.sum_seconds(Freshness(volume.plan), passes) == 15 * 2.5
    volume.remove("latency.torch.3")
    assert timing.sum_seconds(Freshness(volume.plan), passes) == 14 * 2.5
