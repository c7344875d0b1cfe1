"""The stage runner, with an image without a framework: success, repetition, failure, refusal, interruption."""

import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import null_image
import numpy as np
import pytest
from null_image import IMAGE, INPUT, REFUSAL, keep_input, step
from stage_runner import (
    Runner,
    failures,
    input_seal,
    log,
    make_runner,  # noqa: F401 - the fixture `run`
    partials,
    path,
    read_manifest,
    text,
)

from shared import stage
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import MANIFEST_SCHEMA, Failure, File, Manifest, Plan
from shared.errors import DISK_FULL
from shared.runner import process, progress
from shared.runner.progress import Event

HELLO = File("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", 5)  # SHA-256 of "hello"


# ok


def test_the_manifest_of_a_stage_has_all_that_it_was_made_from(run, monkeypatch):
    monkeypatch.setenv("CROSSQUANT_IMAGE_ID", "sha256:1")
    plan = null_image.plan(step("made", inputs=(), text="hello"), step("next", inputs=("made", INPUT), text="!"))
    assert run(plan) == 0
    assert run.ends == {"made": ("ok", ""), "next": ("ok", "")}
    manifest = read_manifest("made")
    assert manifest == Manifest(
        schema=MANIFEST_SCHEMA,
        name="made",
        status="ok",
        reason="",
        files={"text.txt": HELLO},
        inputs={},
        code=plan.steps[0].code,
        parameters={"text": "hello"},
        versions=manifest.versions,
        image_id="sha256:1",
        seconds=manifest.seconds,
        peak_bytes=manifest.peak_bytes,
    )
    assert manifest.versions["numpy"] == np.__version__
    assert read_manifest("next").inputs == {"made": store.digest(manifest), INPUT: store.digest(input_seal())}
    assert text("next") == "helloinput !"


def test_the_events_tell_start_and_end_of_each_stage(run):
    assert run(null_image.plan(step("made"), step("next", inputs=("made",)))) == 0
    assert [replace(event, seconds=0.0) for event in run.events] == [
        Event("start", "made"),
        Event("end", "made", "ok"),
        Event("start", "next"),
        Event("end", "next", "ok"),
    ]


def test_nothing_but_artifacts_and_logs_is_left(run):
    run(null_image.plan(step("made")))
    assert sorted(each.name for each in path("made").parent.iterdir()) == [".locks", "logs", "made"]
    assert sorted(each.name for each in path("made").iterdir()) == [store.MANIFEST, "text.txt"]


def test_each_stage_has_a_peak_memory_of_its_own(run):
    steps = (step("small"), step("large", "allocate", megabytes=96), step("after"))
    assert run(null_image.plan(*steps)) == 0
    small, large, after = (read_manifest(each.output).peak_bytes for each in steps)
    assert large - small > 64 << 20
    assert large - after > 64 << 20


def test_a_stage_may_use_the_threads_of_the_plan(run):
    run(null_image.plan(step("made", "show_threads"), threads=3))
    assert text("made") == "3"


def test_a_shared_stage_is_given_modules_of_the_image_that_are_imported_once_before_the_fork(run):
    (run.images / "loader.py").write_text("import os\nIMPORTED_BY = os.getpid()\n")
    (run.images / "ask.py").write_text(
        "def run(source, out, *, by, text):\n"
        "    (out / 'text.txt').write_text(f'{by.__name__} {by.IMPORTED_BY} {text}')\n"
    )
    ask = replace(step("made", text="!"), run="anything", module="images.null.ask")
    ask = replace(ask, modules={"by": "images.null.loader"})
    assert run(null_image.plan(ask, replace(ask, output="again"))) == 0
    assert text("made") == text("again") == f"images.null.loader {os.getpid()} !"


# what a stage prints


def test_what_a_stage_prints_goes_to_its_log_and_never_among_the_events(run, monkeypatch):
    monkeypatch.setattr(progress, "JSON_INTERVAL", 0.0)
    assert run(null_image.plan(step("quiet"), step("made", "talk"))) == 0
    assert sorted(log("made").read_text().splitlines()) == [
        "complained",
        "complained by a library",
        "printed",
        "written by a library",
    ]
    assert log("quiet").read_text() == ""
    assert Event("progress", "made", done=1, total=2) in run.events
    assert [event.event for event in run.events] == ["start", "end", "start", "progress", "end"]


def test_what_an_import_prints_is_no_event_either(run):
    (run.images / "loud.py").write_text("print('a banner')\nfrom null_image import write as run\n")
    assert run(null_image.plan(step("made", "loud"))) == 0
    assert log("import").read_text() == "a banner\n"


def test_a_log_has_the_last_run_alone(run):
    for _ in range(2):
        run(null_image.plan(step("made", "fail")))
    assert log("made").read_text().count("Traceback") == 1


def test_a_person_reads_a_line_an_artifact(run, monkeypatch, capfd):
    monkeypatch.setenv("PROGRESS", "plain")
    monkeypatch.setattr(run, "listen", lambda: None)
    assert run(null_image.plan(step("refused", "refuse"), step("made", inputs=("refused",)))) == 0
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert lines == [["refused", "unsupported", lines[0][2], "s", *REFUSAL.split()], ["made", "fresh"]]


# unsupported


@pytest.mark.parametrize("half", ["half.txt", "half/model.txt"])
def test_the_manifest_of_a_refusal_has_its_reason_and_no_files(run, half):
    assert run(null_image.plan(step("made", "refuse", half=half))) == 0
    assert run.ends == {"made": ("unsupported", REFUSAL)}
    manifest = read_manifest("made")
    assert (manifest.status, manifest.reason, manifest.files) == ("unsupported", REFUSAL, {})
    assert [each.name for each in path("made").iterdir()] == [store.MANIFEST]
    assert failures() == {}


def test_a_refusal_is_not_tried_again(run):
    plan = null_image.plan(step("made", "refuse"))
    assert (run(plan), run(plan)) == (0, 0)
    assert run.events == [Event("fresh", "made")]


def test_a_refusal_takes_the_place_of_an_older_result(run):
    run(null_image.plan(step("made", text="old")))
    run(null_image.plan(step("made", "refuse", half="new.txt")))
    assert [each.name for each in path("made").iterdir()] == [store.MANIFEST]


def test_a_step_below_a_refusal_is_not_applicable_and_no_failure(run):
    steps = step("made", "refuse"), step("next", inputs=("made",)), step("last", inputs=("next", INPUT))
    assert run(null_image.plan(*steps, step("other"))) == 0
    assert run.named("start") == ["made", "other"]
    assert run.named("fresh") == ["next", "last"]
    assert failures() == {}
    assert not path("next").exists()


def test_force_does_not_run_what_is_not_applicable(run):
    assert run(null_image.plan(step("made", "refuse"), step("next", inputs=("made",))), "--force") == 0
    assert run.named("start") == ["made"]


def test_a_refused_input_makes_not_applicable_even_if_another_input_failed(run):
    """Mending the other would change nothing."""
    steps = step("failed", "fail"), step("refused", "refuse"), step("next", inputs=("failed", "refused"))
    assert run(null_image.plan(*steps)) == 3
    assert list(failures()) == ["failed"]


# again: what runs a second time, and what is fresh


def test_a_second_run_says_fresh_and_runs_nothing(run):
    plan = null_image.plan(step("made"), step("next", inputs=("made",)), step("all", "gather", optional=("made",)))
    run(plan)
    before = {each: each.stat().st_mtime_ns for each in store.volumes().rglob("*") if each.name != "plan.json"}
    assert run(plan) == 0
    assert run.events == [Event("fresh", name) for name in ("made", "next", "all")]
    after = {each: each.stat().st_mtime_ns for each in before}
    assert {each.name for each in before if before[each] != after[each]} <= {null_image.EXPERIMENT}


def test_a_second_run_imports_no_stage(run):
    plan = null_image.plan(step("made"))
    run(plan)
    assert f"images.{IMAGE}.write" in sys.modules
    run(plan)
    assert f"images.{IMAGE}.write" not in sys.modules


def chain(**second: str) -> Plan:
    """first → second → third, and one beside."""
    return null_image.plan(
        step("first", text="1"),
        step("second", inputs=("first",), **second),
        step("third", inputs=("second",), text="3"),
        step("beside", text="b"),
    )


def test_a_changed_parameter_reruns_its_subtree_alone(run):
    run(chain(text="2"))
    assert run(chain(text="two")) == 0
    assert run.named("start") == ["second", "third"]
    assert run.named("fresh") == ["first", "beside"]
    assert text("third") == "input 1two3"
    assert read_manifest("second").parameters == {"text": "two"}


def test_a_change_that_leaves_the_content_alone_reruns_no_more_than_itself(run):
    run(chain(text="2"))
    assert run(chain(text="2", note="without effect")) == 0
    assert run.named("start") == ["second"]


def test_a_changed_input_reruns_all_that_reads_it(run):
    plan = null_image.plan(step("made"), step("next", inputs=("made",)), step("apart", inputs=(), text="apart"))
    run(plan)
    keep_input(plan, "other ")
    assert run(plan) == 0
    assert run.named("start") == ["made", "next"]
    assert text("next") == "other "


def test_edited_code_reruns_the_image(run):
    run(chain(text="2"))
    (run.images / "write.py").write_text("from null_image import write as run  # edited\n")
    assert run(chain(text="2")) == 0
    assert run.named("start") == ["first", "second", "third", "beside"]


def test_force_runs_what_is_fresh(run):
    run(chain(text="2"))
    assert run(chain(text="2"), "--force") == 0
    assert run.named("start") == ["first", "second", "third", "beside"]


def test_force_that_fails_leaves_no_old_result(run, monkeypatch):
    assert run(null_image.plan(step("made"))) == 0
    monkeypatch.setattr(process, "run", lambda *_: process.Outcome("failed", "no luck"))
    assert run(null_image.plan(step("made")), "--force") == 3
    assert read_manifest("made") is None


def test_force_is_for_the_named_artifacts_alone(run):
    run(chain(text="2"))
    assert run(chain(text="2"), "third", "--force") == 0
    assert [event.output for event in run.events] == ["third", "third"]


def test_named_artifacts_are_made_in_the_order_of_the_plan(run):
    assert run(chain(text="2"), "second", "beside", "first") == 0
    assert run.named("start") == ["first", "second", "beside"]


def test_a_run_that_names_nothing_makes_the_default_ones_of_this_image(run):
    plan = null_image.plan(step("made"), step("extra", default=False), step("elsewhere", image="other"))
    assert run(plan) == 0
    assert list(run.ends) == ["made"]
    assert run(plan, "extra") == 0
    assert list(run.ends) == ["extra"]


# failures: recorded without a manifest, and no other row is hidden


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
def test_a_failure_is_recorded_without_a_manifest_and_stops_nothing_else(run, stage_name, parameters, reason):
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
    run(null_image.plan(step("made", "stop", message="fix this")))
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


# refused: with the name of what is wrong


def test_code_other_than_the_plans_is_refused(run):
    plan = null_image.plan(step("made"))
    (run.images / "write.py").write_text("# edited after the plan was made\n")
    assert run(plan) == 2
    assert run.error == {
        "message": "image 'null' was built from other code than the plan: run `docker compose build null`",
        "exit_code": 2,
    }
    assert not path("made").exists()


def test_only_the_code_of_the_steps_to_be_made_must_be_the_plans(run):
    plan = null_image.plan(step("made"), step("other", "talk"))
    (run.images / "talk.py").write_text("# edited after the plan was made\n")
    assert run(plan, "made") == 0
    assert run(plan, "made", "other") == 2


def test_a_runner_other_than_the_plans_is_refused(run):
    assert run(replace(null_image.plan(step("made")), runner="edited")) == 2
    assert str(run.error["message"]).startswith("image 'null' was built from other code than the plan: ")


@pytest.mark.parametrize(
    ("arguments", "image", "message"),
    [
        (
            ["absent"],
            IMAGE,
            "unknown artifact 'absent': known are made, elsewhere (`./crossquant list --experiment tiny` shows all)",
        ),
        (["made", "elsewhere"], IMAGE, "'elsewhere' is made by image 'other', not 'null'"),
        ([], "absent", "unknown image 'absent': this plan has null, other"),
    ],
    ids=["artifact", "image of artifact", "image"],
)
def test_a_name_that_the_plan_does_not_have_is_refused(run, arguments, image, message):
    assert run(null_image.plan(step("made"), step("elsewhere", image="other")), *arguments, image=image) == 2
    assert run.error == {"message": message, "exit_code": 2}
    assert not path("made").exists()


def test_a_missing_plan_names_the_command_that_makes_it(run, monkeypatch):
    monkeypatch.setenv("EXPERIMENT", "another")
    assert run(null_image.plan(step("made"))) == 2
    assert (
        run.error["message"]
        == f"{store.plan_path('another')} is missing: run `./crossquant fetch --experiment another` first"
    )


def test_a_mistyped_plan_names_its_field(run):
    assert run(replace(null_image.plan(step("made")), threads="2")) == 2
    plan = store.plan_path(null_image.EXPERIMENT)
    assert run.error["message"] == f"{plan}: threads: must be a whole number, not '2': delete it and run again"


@pytest.mark.parametrize("arguments", [[], [IMAGE, "--fource"]])
def test_a_wrong_command_line_exits_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        stage.main(arguments)
    assert caught.value.code == 2


def test_an_input_changed_after_its_manifest_is_not_used(run):
    plan = null_image.plan(step("made"), step("next", inputs=("made",)))
    run(plan)
    (store.artifact_path(plan, INPUT) / "text.txt").write_text("INPUT ")
    assert run(plan) == 3
    assert run.ends["made"] == ("skipped", f"its input {INPUT} is missing or out of date")
    assert run.named("start") == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda made: (made / "text.txt").write_text("INPUT "),
        lambda made: (made / "text.txt").write_text(""),
        lambda made: (made / store.MANIFEST).write_text(""),
        lambda made: (made / store.MANIFEST).write_text("[" * 100_000),
        lambda made: (made / "text.txt").unlink(),
        lambda made: (made / "link").symlink_to("/etc/passwd"),
    ],
    ids=["changed", "emptied", "emptied manifest", "endless manifest", "removed", "link"],
)
def test_a_damaged_artifact_is_made_anew(run, damage):
    plan = null_image.plan(step("made"), step("next", inputs=("made",)))
    run(plan)
    damage(path("made"))
    assert Freshness(plan).state(plan.steps[0]) == "damaged"
    assert run(plan) == 0
    assert run.named("start") == ["made"], "the next one was made from what is there again"
    assert read_manifest("made") and text("made") == "input "


def test_a_folder_that_can_not_be_made_is_refused(run):
    folder = path("made").parent
    folder.parent.mkdir()
    folder.write_text("a file in its place")
    assert run(null_image.plan(step("made"))) == 2
    assert run.error["message"] == f"{folder} can't be made: File exists"


def test_a_folder_of_another_owner_is_refused(run, monkeypatch):
    monkeypatch.setattr(stage.os, "access", lambda *_: False)
    assert run(null_image.plan(step("made"))) == 2
    assert run.error["message"] == (
        f"{path('made').parent} is not writable by uid {os.getuid()}: change its owner, or CROSSQUANT_UID in .env"
    )


def test_a_system_error_while_a_manifest_is_written_is_one_line_and_exit_code_3(run, monkeypatch):
    def publish(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "publish", publish)
    assert run(null_image.plan(step("made"))) == 3
    assert run.events[-1] == Event("error", message=DISK_FULL, exit_code=3)
    assert partials() == []


# stopped or killed: nothing half-written is left, and no process


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
    files = [each / "text.txt" for each in partials()]
    return next((int(each.read_text()) for each in files if each.exists()), 0)


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
