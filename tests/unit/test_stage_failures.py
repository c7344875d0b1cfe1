"""The stage runner: what fails is recorded, never sealed, and hides nothing else."""

import json
import shutil
import signal
from pathlib import Path

import null_image
import pytest
from null_image import INPUT, step
from stage_runner import (
    failures,
    input_seal,
    log,
    make_runner,  # noqa: F401 - the fixture `run`
    partials,
    path,
    read_manifest,
)

from shared.artifacts import store
from shared.contract import Failure
from shared.errors import DISK_FULL
from shared.runner import process


@pytest.mark.parametrize(
    ("stage_name", "parameters", "reason"),
    [
        ("stop", {"message": "images is 7: make it 10"}, "images is 7: make it 10"),
        ("fail", {}, "RuntimeError: the first line (see {log})"),
        ("exhaust", {}, "out of memory: raise limits.memory"),
        ("leave", {"code": 0}, "SystemExit: 0 (see {log})"),
        ("leave", {"code": 1}, "SystemExit: 1 (see {log})"),
        ("vanish", {}, "ended by itself with exit code 7; see {log}"),
        ("die", {"number": signal.SIGKILL}, "killed by SIGKILL (out of memory? raise limits.memory); see {log}"),
        ("die", {"number": signal.SIGABRT}, "killed by SIGABRT; see {log}"),
        ("die", {"number": signal.SIGTERM}, "killed by SIGTERM; see {log}"),
        ("write_forever", {}, "not ready after 1 s: raise limits.stage_seconds"),
        ("absent", {}, "ModuleNotFoundError: No module named 'images.null.absent' (see {log})"),
        ("write", {"txet": ""}, "TypeError: write() got an unexpected keyword argument 'txet' (see {log})"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_failure_is_recorded_never_sealed_and_stops_nothing_else(run, stage_name, parameters, reason):
    steps = step("made", stage_name, **parameters), step("next", inputs=("made",)), step("other")
    seconds = 1 if stage_name == "write_forever" else 60
    assert run(null_image.plan(*steps, stage_seconds=seconds)) == 3
    reason = reason.format(log=log("made"))
    skipped = "its input made is missing or out of date"
    assert run.ends == {"made": ("failed", reason), "next": ("skipped", skipped), "other": ("ok", "")}
    assert failures() == {"made": Failure("made", "failed", reason), "next": Failure("next", "skipped", skipped)}
    assert [name for name in ("made", "next", "other") if path(name).exists()] == ["other"]
    assert partials() == []


def test_the_log_of_a_failure_has_the_whole_traceback(run):
    run(null_image.plan(step("made", "fail")))
    assert "RuntimeError: the first line\nthe second line\n" in log("made").read_text()
    assert 'raise RuntimeError("the first line' in log("made").read_text()


def test_a_foreseen_failure_has_no_traceback(run):
    run(null_image.plan(step("made", "stop", message="mend this")))
    assert log("made").read_text() == ""


@pytest.mark.parametrize("source", ["raise RuntimeError('operator nms does not exist')", "import absent", "def run(:"])
def test_a_stage_that_can_not_be_imported_is_one_failure_among_others(run, source):
    (run.images / "broken.py").write_text(source)
    assert run(null_image.plan(step("made", "broken"), step("other"))) == 3
    assert {name: status for name, (status, _) in run.ends.items()} == {"made": "failed", "other": "ok"}


def test_a_long_message_is_cut_to_one_readable_line():
    reason = process.describe(ValueError("x" * 1000 + "\nmore"), Path("made.log"))
    assert reason == f"ValueError: {'x' * 288} (see made.log)"


def test_a_full_disk_is_named_however_the_stage_died_of_it(run, monkeypatch):
    monkeypatch.setattr(store, "is_full", lambda _: True)
    assert run(null_image.plan(step("made", "die", number=signal.SIGABRT), step("other"))) == 3
    assert run.ends == {"made": ("failed", DISK_FULL), "other": ("ok", "")}


def test_keep_going_exits_with_0_and_the_failure_is_on_the_volume(run):
    assert run(null_image.plan(step("made", "fail"), step("next", inputs=("made",))), "--keep-going") == 0
    assert {name: failure.status for name, failure in failures().items()} == {"made": "failed", "next": "skipped"}


def test_keep_going_does_not_forgive_wrong_use(run):
    assert run(null_image.plan(step("made")), "absent", "--keep-going") == 2


def test_a_failure_is_forgotten_when_the_stage_succeeds(run):
    run(null_image.plan(step("made", "fail"), step("next", inputs=("made",))))
    assert run(null_image.plan(step("made"), step("next", inputs=("made",)))) == 0
    assert failures() == {}


def test_a_failure_is_forgotten_when_the_old_settings_are_back(run):
    good, bad = (null_image.plan(step("made", "write", text="1")), null_image.plan(step("made", "die", number=6)))
    assert run(good) == 0
    store.record_failure(good, Failure("made", "failed", "of other settings"))
    assert run(good) == 0
    assert failures() == {}
    assert run(bad) == 3


def test_a_failure_is_tried_again(run):
    plan = null_image.plan(step("made", "fail"))
    assert (run(plan), run(plan)) == (3, 3)
    assert run.named("start") == ["made"]


def test_an_old_result_is_not_passed_on_when_the_new_one_fails(run):
    run(null_image.plan(step("made", text="old"), step("next", inputs=("made",))))
    plan = null_image.plan(step("made", "fail"), step("next", inputs=("made",)))
    assert run(plan) == 3
    assert run.ends["next"] == ("skipped", "its input made is missing or out of date")
    assert run(plan, "next") == 3, "nor by a run of the second stage alone"


def test_an_absent_input_skips(run):
    shutil.rmtree(store.volumes() / "inputs")
    assert run(null_image.plan(step("made"))) == 3
    assert run.ends == {"made": ("skipped", f"its input {INPUT} is missing or out of date")}


def test_optional_inputs_are_taken_as_far_as_they_are_there(run):
    given = ("good", "refused", "failed", "absent")
    steps = step("good", text="good"), step("refused", "refuse"), step("failed", "fail"), step("absent", default=False)
    assert run(null_image.plan(*steps, step("made", "gather", optional=given))) == 3
    assert run.ends["made"] == ("ok", "")
    assert json.loads((path("made") / "texts.json").read_text()) == {"good": "input good"}
    assert read_manifest("made").inputs == {
        INPUT: store.digest(input_seal()),
        "good": store.digest(read_manifest("good")),
        **dict.fromkeys(("refused", "failed", "absent"), ""),
    }


def test_a_stage_with_no_optional_input_at_all_still_runs(run):
    steps = step("later", default=False), step("made", "gather", optional=("later",))
    assert run(null_image.plan(*steps)) == 0
    assert json.loads((path("made") / "texts.json").read_text()) == {}
