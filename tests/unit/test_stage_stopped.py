"""The stage runner, stopped or killed: nothing half-written is left, and no process."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import null_image
import pytest
from null_image import step
from stage_runner import (
    Runner,
    log,
    make_runner,  # noqa: F401 - the fixture `run`
    partials,
    path,
    read_manifest,
    text,
)

from shared.contract import Plan
from shared.runner import process
from shared.runner.progress import Event

PATIENCE = 30  # seconds


def wait_for(found: Callable[[], object]) -> object:
    """What `found` gives as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def half_made() -> int:
    """The process of a stage that waits, having written half of its output; 0 as long as there is none."""
    found = [each / "text.txt" for each in partials()]
    return next((int(each.read_text()) for each in found if each.exists()), 0)


@contextmanager
def signalled_when_half_made(number: int) -> Iterator[None]:
    """Send a signal to this process as soon as a stage has written half of its output."""
    runner, helper = os.getpid(), os.fork()
    if helper == 0:
        try:
            wait_for(half_made)
            os.kill(runner, number)
        finally:
            os._exit(0)
    yield
    os.waitpid(helper, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_runner_stops_its_stage_and_leaves_nothing_half_written(run, number):
    with signalled_when_half_made(number):
        assert run(null_image.plan(step("made", "wait"), step("other"))) == 130
    assert run.events == [Event("start", "made")]
    assert partials() == []
    assert sorted(each.name for each in path("made").parent.iterdir()) == [".locks", "logs"]
    assert not children()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_runner_stopped_in_the_very_moment_of_the_fork_leaves_no_stage_behind(run, monkeypatch, number):
    fork = os.fork

    def fork_and_stop() -> int:
        child = fork()
        if child:
            os.kill(os.getpid(), number)
        return child

    monkeypatch.setattr(os, "fork", fork_and_stop)
    assert run(null_image.plan(step("made", "write_forever"))) == 130
    assert not children()
    assert partials() == []


def children() -> bool:
    """Has this process a child that still runs, or that nobody waited for?"""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def is_alive(pid: int) -> bool:
    """A process that has ended stays as a zombie until its parent looks at it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def killed(run: Runner, plan: Plan) -> None:
    """Run `plan` in a fork, kill that while a stage waits half-made, and see the stage end with it."""
    runner = os.fork()
    if runner == 0:
        try:
            run(plan)
        finally:
            os._exit(1)
    stage = wait_for(half_made)
    os.kill(runner, signal.SIGKILL)
    _, status = os.waitpid(runner, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    wait_for(lambda: not is_alive(stage))


def test_what_a_killed_run_left_is_removed_by_the_next(run):
    run(null_image.plan(step("made", text="old")))
    killed(run, null_image.plan(step("made", "wait")))
    assert len(partials()) == 1
    assert text("made") == "input old", "the old artifact is as it was"
    assert run(null_image.plan(step("made", text="new"))) == 0
    assert partials() == []
    assert text("made") == "input new"


def test_a_stage_ends_with_its_runner(run):
    killed(run, null_image.plan(step("made", "wait")))
    run.listen()
    assert run.events == [Event("start", "made")]
    assert read_manifest("made") is None


def helper() -> int:
    """The process that a stage has started, once it has said so in the stage's log."""
    return int(log("made").read_text() or 0) if log("made").exists() else 0


@pytest.mark.parametrize("apart", [False, True], ids=["in the group", "in a session of its own"])
@pytest.mark.parametrize("ended", ["by itself", "in time", "stopped"])
def test_what_a_stage_has_started_ends_with_it(run, monkeypatch, ended, apart):
    """A process that a stage left would keep the machine busy, or change what is made next."""
    if ended == "stopped":
        stop = lambda *_: wait_for(helper) and signal.raise_signal(signal.SIGTERM)  # noqa: E731
        monkeypatch.setattr(process, "_listen", stop)
    stage = step("made", "start_helper", apart=apart, wait=ended != "by itself")
    code = run(null_image.plan(stage, stage_seconds=60 if ended == "by itself" else 1))
    assert code == {"by itself": 0, "in time": 3, "stopped": 130}[ended]
    assert helper()
    assert not is_alive(helper())
