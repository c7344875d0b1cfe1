"""The stage runner, stopped or killed: nothing half-written is left, and no process."""

import os
import signal

import null_image
import pytest
from null_image import step
from stage_runner import (
    Runner,
    make_runner,  # noqa: F401 - the fixture `run`
    partials,
    path,
    seal,
    text,
)

from shared import process
from shared.contract import Plan


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_runner_stops_its_stage_and_leaves_nothing_half_written(run, number):
    assert run(null_image.plan(step("made", "stop_runner", number=number), step("other"))) == 130
    assert [event["event"] for event in run.events] == ["start"]
    assert partials() == []
    assert [each.name for each in path("made").parent.iterdir()] == ["logs"]
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


def killed(run: Runner, plan: Plan) -> None:
    """Run `plan` in a fork which a stage kills, and wait until its last descendant is gone."""
    readable, writable = os.pipe()
    runner = os.fork()
    if runner == 0:
        try:
            run(plan)
        finally:
            os._exit(1)
    os.close(writable)
    _, status = os.waitpid(runner, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert os.read(readable, 1) == b"", "the end of the last process that holds the pipe"
    os.close(readable)


def test_what_a_killed_run_left_is_removed_by_the_next(run):
    run(null_image.plan(step("made", text="old")))
    killed(run, null_image.plan(step("made", "outlive_runner", quietly=True)))
    assert len(partials()) == 1
    assert text("made") == "input old", "the old artifact is as it was"
    assert run(null_image.plan(step("made", text="new"))) == 0
    assert partials() == []
    assert text("made") == "input new"


def test_a_stage_that_outlives_its_runner_ends_without_a_word(run):
    killed(run, null_image.plan(step("made", "outlive_runner", quietly=False)))
    run.listen()
    assert run.events == [{"event": "start", "output": "made"}]
    assert seal("made") is None


@pytest.mark.parametrize("ended", ["in-time", "stopped"])
def test_what_a_stage_has_started_ends_with_it(run, monkeypatch, ended):
    """Where time is up, or the runner is stopped: a process that the stage left would keep the machine busy."""
    readable, writable = os.pipe()
    if ended == "stopped":
        monkeypatch.setattr(process, "_receive", lambda *_: signal.raise_signal(signal.SIGTERM))
    code = run(null_image.plan(step("made", "start_helper", pipe=writable), stage_seconds=1))
    os.close(writable)
    assert code == (130 if ended == "stopped" else 3)
    with os.fdopen(readable, "rb") as pipe:
        assert pipe.read() == b"", "the helper was alive"
