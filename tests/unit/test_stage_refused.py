"""The stage runner: runs that are refused, with the name of what is wrong."""

import errno
import os
from dataclasses import replace

import null_image
import pytest
from null_image import IMAGE, INPUT, step
from stage_runner import (
    make_runner,  # noqa: F401 - the fixture `run`
    partials,
    path,
    read_manifest,
    text,
)

from shared import stage
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.errors import DISK_FULL
from shared.runner.progress import Event


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
        (["absent"], IMAGE, "unknown artifact 'absent': this experiment makes made, elsewhere"),
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
    assert run.error["message"] == f"{store.plan_path('another')} is missing: run `./crossquant fetch` first"


def test_a_mistyped_plan_names_its_field(run):
    assert run(replace(null_image.plan(step("made")), threads="2")) == 2
    plan = store.plan_path(null_image.EXPERIMENT)
    assert run.error["message"] == f"{plan}: threads: must be a whole number, not '2': delete it and run again"


@pytest.mark.parametrize("arguments", [[], [IMAGE, "--fource"]])
def test_a_wrong_command_line_exits_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        stage.main(arguments)
    assert caught.value.code == 2


def test_an_input_changed_after_sealing_is_not_used(run):
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


def test_what_the_system_refuses_while_sealing_is_one_line_and_exit_code_3(run, monkeypatch):
    def publish(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "publish", publish)
    assert run(null_image.plan(step("made"))) == 3
    assert run.events[-1] == Event("error", message=DISK_FULL, exit_code=3)
    assert partials() == []
