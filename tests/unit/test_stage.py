"""The stage runner, by an image without a framework: what succeeds, what is printed, what a framework refuses."""

import os
from dataclasses import replace

import null_image
import numpy as np
import pytest
from null_image import INPUT, REFUSAL, step
from stage_runner import (
    failures,
    input_seal,
    log,
    make_runner,  # noqa: F401 - the fixture `run`
    path,
    read_manifest,
    text,
)

from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, File, Manifest
from shared.runner import progress
from shared.runner.progress import Event

HELLO = File("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", 5)  # SHA-256 of "hello"


# ok


def test_a_stage_that_succeeds_is_sealed_with_all_that_it_was_made_from(run, monkeypatch):
    monkeypatch.setenv("CROSSQUANT_IMAGE_ID", "sha256:1")
    plan = null_image.plan(step("made", inputs=(), text="hello"), step("next", inputs=("made", INPUT), text="!"))
    assert run(plan) == 0
    assert run.ends == {"made": ("ok", ""), "next": ("ok", "")}
    found = read_manifest("made")
    assert found == Manifest(
        schema=MANIFEST_SCHEMA,
        name="made",
        status="ok",
        reason="",
        files={"text.txt": HELLO},
        inputs={},
        code=plan.steps[0].code,
        parameters={"text": "hello"},
        versions=found.versions,
        image_id="sha256:1",
        seconds=found.seconds,
        peak_bytes=found.peak_bytes,
    )
    assert found.versions["numpy"] == np.__version__
    assert read_manifest("next").inputs == {"made": store.digest(found), INPUT: store.digest(input_seal())}
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
def test_a_refusal_is_sealed_with_its_reason_and_without_files(run, half):
    assert run(null_image.plan(step("made", "refuse", half=half))) == 0
    assert run.ends == {"made": ("unsupported", REFUSAL)}
    found = read_manifest("made")
    assert (found.status, found.reason, found.files) == ("unsupported", REFUSAL, {})
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


def test_what_depends_on_a_refusal_is_void_and_no_failure(run):
    steps = step("made", "refuse"), step("next", inputs=("made",)), step("last", inputs=("next", INPUT))
    assert run(null_image.plan(*steps, step("other"))) == 0
    assert run.named("start") == ["made", "other"]
    assert run.named("fresh") == ["next", "last"]
    assert failures() == {}
    assert not path("next").exists()


def test_what_is_void_stays_void_by_force(run):
    assert run(null_image.plan(step("made", "refuse"), step("next", inputs=("made",))), "--force") == 0
    assert run.named("start") == ["made"]


def test_a_refused_input_makes_void_even_where_another_input_failed(run):
    """Mending the other would change nothing."""
    steps = step("failed", "fail"), step("refused", "refuse"), step("next", inputs=("failed", "refused"))
    assert run(null_image.plan(*steps)) == 3
    assert list(failures()) == ["failed"]
