"""Who makes an artifact holds its lock: others wait, and learn who holds it."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import null_image
import pytest
from null_image import step
from stage_runner import (
    make_runner,  # noqa: F401 - the fixture `run`
    path,
    read_manifest,
    text,
)

from shared.artifacts import locks, store
from shared.errors import StageError


def elsewhere(body: Callable[[], None]) -> int:
    """Run `body` in another process; its number."""
    child = os.fork()
    if child == 0:
        try:
            body()
        finally:
            os._exit(0)
    return child


def hold(artifact: Path, how: Callable[..., object], until: Path) -> int:
    """Another process that holds a lock on `artifact` until the file `until` is there."""

    def body() -> None:
        with how(artifact, print, 1):  # type: ignore[attr-defined]
            (artifact.parent / "held").touch()
            while not until.exists():
                time.sleep(0.01)

    child = elsewhere(body)
    while not (artifact.parent / "held").exists():
        time.sleep(0.01)
    return child


@pytest.mark.parametrize(
    ("theirs", "mine", "who"),
    [
        (locks.exclusive, locks.exclusive, r"the nightly run since "),
        (locks.exclusive, locks.shared, r"the nightly run since "),
        (locks.shared, locks.exclusive, r"a process that reads it"),
    ],
)
def test_the_second_waits_and_learns_who_holds_it(tmp_path, monkeypatch, theirs, mine, who):
    artifact, done = tmp_path / "onnx.int8", tmp_path / "done"
    with locks.exclusive(artifact, pytest.fail, 1):
        pass
    monkeypatch.setenv(locks.HOLDER, "the nightly run")
    child = hold(artifact, theirs, done)
    messages: list[str] = []
    threading.Timer(0.3, done.touch).start()
    with mine(artifact, messages.append, 30):
        assert done.exists()
    os.waitpid(child, 0)
    (message,) = messages
    assert message.startswith(f"'onnx.int8' is in use by {who}")


def test_readers_do_not_wait_for_each_other(tmp_path):
    artifact, done = tmp_path / "onnx.int8", tmp_path / "done"
    with locks.exclusive(artifact, pytest.fail, 1):
        pass
    child = hold(artifact, locks.shared, done)
    with locks.shared(artifact, pytest.fail, 1):
        done.touch()
    os.waitpid(child, 0)


def test_who_waits_too_long_gives_up(tmp_path):
    artifact, done = tmp_path / "onnx.int8", tmp_path / "done"
    child = hold(artifact, locks.exclusive, done)
    with (
        pytest.raises(StageError, match=r"'onnx\.int8' is still in use by process"),
        locks.exclusive(artifact, print, 0),
    ):
        pass
    done.touch()
    os.waitpid(child, 0)


def test_a_lock_ends_with_its_holder(tmp_path):
    artifact = tmp_path / "onnx.int8"
    child = hold(artifact, locks.exclusive, tmp_path / "never")
    os.kill(child, 9)
    os.waitpid(child, 0)
    with locks.exclusive(artifact, pytest.fail, 1):
        pass


def test_a_holder_whose_name_is_not_readable_is_another_process(tmp_path):
    (tmp_path / "lock").write_text("{")
    assert locks.holder(tmp_path / "lock") == "another process"


def test_what_nobody_ever_locked_is_read_without_a_lock(tmp_path):
    with locks.shared(tmp_path / "input", pytest.fail, 1), locks.unless_held(locks.path(tmp_path / "input")) as free:
        assert not free
    assert list(tmp_path.iterdir()) == []


def test_two_runners_on_one_artifact_make_it_once(run):
    """As `docker compose up` beside `run`: the second waits, and finds it fresh."""
    plan = null_image.plan(step("made"))
    with locks.exclusive(path("made"), pytest.fail, 1):
        child = elsewhere(lambda: (setattr(run, "listen", list), run(plan)))
        while not any(event.event == "note" for event in listened(run)):
            time.sleep(0.01)
        null_image.keep(plan, "made", {"text.txt": "by the first"}, **made_from(plan))
    os.waitpid(child, 0)
    assert text("made") == "by the first"
    assert [event.event for event in listened(run)][-1] == "fresh"
    assert read_manifest("made")


def listened(run) -> list:
    """All events up to now."""
    before = run.events
    run.listen()
    run.events = before + run.events
    return run.events


def made_from(plan) -> dict[str, object]:
    """What the manifest of `made` says of its origin."""
    inputs = {null_image.INPUT: store.digest(null_image.keep_input(plan, "input "))}
    return {"inputs": inputs, "code": plan.steps[0].code}
