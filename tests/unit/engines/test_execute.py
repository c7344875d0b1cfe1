"""Carrying out a plan, with an engine that starts nothing."""

import os
import re
from itertools import groupby

import pytest
from evidence_makers import Volume, default_experiment

from driver.engines import execute
from driver.plan import schedule
from shared.artifacts import locks, store
from shared.artifacts.freshness import Freshness
from shared.errors import CrossquantError, StageError
from shared.runner.progress import Event

pytestmark = pytest.mark.usefixtures("volumes")


class Engine:
    """Does for each image what the test says, and remembers what it was asked for and that it was closed."""

    name = "none"

    def __init__(self, volume, events=None, manifest=True):
        self.volume, self.events, self.manifest = volume, events or {}, manifest
        self.started, self.closed = [], []

    def start(self, plan, image, arguments):
        self.started.append((image, list(arguments)))
        final = store.artifact_path(plan, arguments[0])
        with locks.exclusive(final, print, 1):
            half_made = final.with_name(f".{final.name}.1.partial")
            half_made.mkdir(parents=True)
            (half_made / "model.onnx").touch()
        try:
            yield from self.events.get(image, [])
            outputs = [name for name in arguments if name != "--force"]
            for output in outputs if self.manifest else ():
                self.volume.publish(output)
                yield Event("end", output, "ok", seconds=1.0)
        finally:
            self.closed.append(image)


class Display:
    def __init__(self):
        self.events = []

    def event(self, event):
        self.events.append(event)


@pytest.fixture
def volume():
    """The inputs, and nothing made of them."""
    new_volume = Volume(default_experiment(recipes={"onnx": {"int8": {}}}))
    new_volume.publish("input.model")
    new_volume.publish("input.dataset")
    return new_volume


def run(volume, engine, targets=(), force=False, display=None):
    freshness = Freshness(volume.plan)
    steps = schedule.select(volume.plan, targets)
    return execute.run(freshness, steps, lambda: engine, display or Display(), force)


def starts(volume):
    """(image, outputs) of each start, all that is made by default, the turns of the timings last."""
    groups = groupby(schedule.select(volume.plan, []), key=lambda step: step.image)
    return [(image, [step.output for step in group]) for image, group in groups]


def partials(volumes):
    return list(volumes.glob("*/*/.*.partial"))


def ended(output, status):
    return Event("end", output, status, "why", 1.0)


def test_the_images_are_started_in_the_order_of_the_plan(volume):
    engine = Engine(volume)
    assert run(volume, engine) is False
    assert engine.started == starts(volume)
    assert [image for image, _ in engine.started] == ["keras", "onnx", "torch"] * 5


def test_nothing_is_started_or_even_chosen_where_all_is_fresh(volume):
    run(volume, Engine(volume))

    def choose():
        pytest.fail("an engine was chosen")

    steps, display = schedule.select(volume.plan, []), Display()
    assert execute.run(Freshness(volume.plan), steps, choose, display, False) is False
    assert display.events == [Event("fresh", step.output) for step in steps], "who counts steps counts these"


def test_the_engine_is_chosen_once(volume):
    chosen = []

    def choose():
        chosen.append(Engine(volume))
        return chosen[-1]

    execute.run(Freshness(volume.plan), schedule.select(volume.plan, []), choose, Display(), False)
    assert len(chosen) == 1


def test_only_the_image_with_something_to_do_is_started(volume):
    run(volume, Engine(volume))
    volume.remove("latency.onnx")
    engine = Engine(volume)
    run(volume, engine)
    assert [image for image, _ in engine.started] == ["onnx"]


def test_a_target_starts_what_it_needs(volume):
    engine = Engine(volume)
    run(volume, engine, ["onnx.fp32"])
    assert engine.started == [("keras", ["dataset", "keras.fp32", "exported"]), ("onnx", ["onnx.fp32"])]


def test_force_starts_what_is_fresh_and_says_so(volume):
    run(volume, Engine(volume))
    engine = Engine(volume)
    run(volume, engine, ["onnx.fp32"], force=True)
    assert engine.started == [
        ("keras", ["dataset", "keras.fp32", "exported", "--force"]),
        ("onnx", ["onnx.fp32", "--force"]),
    ]


@pytest.mark.parametrize(
    ("status", "failed"), [("ok", False), ("unsupported", False), ("failed", True), ("skipped", True)]
)
def test_what_counts_as_failed(volume, status, failed):
    assert run(volume, Engine(volume, {"onnx": [ended("onnx.int8", status)]})) is failed


def test_a_failure_does_not_stop_the_other_images(volume, volumes):
    engine = Engine(volume, {"onnx": [ended("onnx.int8", "failed")]})
    assert run(volume, engine) is True
    assert [image for image, _ in engine.started] == ["keras", "onnx", "torch"] * 5
    assert partials(volumes) == []


def test_every_event_is_shown(volume):
    display = Display()
    note = Event("note", message="once more")
    run(volume, Engine(volume, {"keras": [note]}), ["dataset"], display=display)
    assert [event.event for event in display.events] == ["note", "end"]


@pytest.mark.parametrize(("code", "kind"), [(2, CrossquantError), (3, StageError)])
def test_a_runner_that_says_error_ends_the_run(volume, volumes, code, kind):
    error = Event("error", message="built from other code", exit_code=code)
    engine = Engine(volume, {"keras": [error]})
    with pytest.raises(CrossquantError, match=r"^built from other code$") as caught:
        run(volume, engine)
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
    assert engine.closed == ["keras"]
    assert partials(volumes) == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, StageError, OSError])
def test_an_engine_or_display_that_raises_leaves_nothing_half_written(volume, volumes, kind):
    class Interrupted(Display):
        def event(self, event):
            raise kind("stop")

    engine = Engine(volume)
    with pytest.raises(kind):
        run(volume, engine, display=Interrupted())
    assert engine.closed == ["keras"]
    assert partials(volumes) == []


def test_a_run_that_ends_well_leaves_nothing_half_written(volume, volumes):
    run(volume, Engine(volume, manifest=False))
    assert partials(volumes) == []


def test_what_was_made_counts_for_the_images_after_it(volume):
    """The torch image has nothing to do until the onnx image has made its input anew."""
    run(volume, Engine(volume))
    volume.remove("onnx.fp32")

    class Changed(Engine):
        def start(self, plan, image, arguments):
            if image == "onnx":
                self.volume.publish("onnx.fp32", {"model.onnx": b"other"})
            return super().start(plan, image, [name for name in arguments if name != "onnx.fp32"])

    engine = Changed(volume)
    run(volume, engine)
    again = "torch makes what it made before: its later turns are fresh"
    assert [image for image, _ in engine.started] == ["onnx", "torch", *["onnx"] * 4], again


def test_what_was_made_again_as_it_was_starts_nothing_after_it(volume):
    run(volume, Engine(volume))
    volume.remove("onnx.fp32")
    engine = Engine(volume)
    run(volume, engine)
    assert [image for image, _ in engine.started] == ["onnx"]


def test_a_second_run_on_the_same_experiment_is_refused(volumes):
    with execute.lock("mine"):
        with pytest.raises(CrossquantError) as caught, execute.lock("mine"):
            pass
        with execute.lock("other"):
            pass
    holder = rf"process {os.getpid()} on \S+ since \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{volumes / 'mine'} is in use by {holder}: wait for it, or stop it", str(caught.value))
    with execute.lock("mine"):
        pass


def test_the_lock_is_free_after_an_error(volumes):
    with pytest.raises(KeyError), execute.lock("mine"):
        raise KeyError
    with execute.lock("mine"):
        assert (volumes / "mine").is_dir()


def test_a_volume_that_can_not_be_written(volumes):
    (volumes / "mine").write_text("in the way")
    with pytest.raises(CrossquantError) as caught, execute.lock("mine"):
        pass
    assert str(caught.value) == (
        f"{volumes / 'mine'} is not writable (File exists): change its owner, or set CROSSQUANT_VOLUMES"
    )
