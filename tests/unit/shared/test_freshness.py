"""A stale artifact is never fresh: content alone decides, for the artifact and all that it depends on."""

import shutil
from dataclasses import replace
from pathlib import Path

import null_image
import pytest
from null_image import IMAGE, INPUT, keep, keep_input, step

from shared.artifacts import store
from shared.artifacts.freshness import Freshness, Inputs
from shared.contract import Plan

CODE = {IMAGE: "c0de", "other": "0ther"}
MODEL, VARIANT, ANSWERS, TIMES = null_image.with_code(
    (
        step("model"),
        step("variant", inputs=("model", INPUT), bits=8),
        step("answers", inputs=("variant",), image="other"),
        step("times", optional=("variant", "answers")),
    ),
    CODE,
)


@pytest.fixture
def plan(volumes: Path) -> Plan:  # noqa: ARG001
    return null_image.plan(MODEL, VARIANT, ANSWERS, TIMES, code=CODE)


def make(plan: Plan, name: str, text: str = "", **fields) -> None:
    """Manifest what a run of the step would have made now."""
    each = plan.step(name)
    now = {"inputs": Freshness(plan).inputs(each).digests, "code": each.code, "parameters": each.parameters}
    keep(plan, name, {} if fields.get("status") else {"text.txt": text or name}, **now | fields)


@pytest.fixture
def made(plan) -> Plan:
    """Everything made, and fresh."""
    keep_input(plan)
    for each in plan.steps:
        make(plan, each.output)
    return plan


def states(plan: Plan) -> dict[str, str]:
    freshness = Freshness(plan)
    return {each.output: freshness.state(each) for each in plan.steps}


def test_nothing_is_there_at_first(plan):
    assert states(plan) == dict.fromkeys(("model", "variant", "answers", "times"), "absent")


def test_what_has_just_been_made_is_fresh(made):
    assert states(made) == dict.fromkeys(("model", "variant", "answers", "times"), "fresh")
    assert all(Freshness(made).done(each) for each in made.steps)


def change_parameter(plan: Plan) -> Plan:
    steps = [replace(each, parameters={"bits": 4}) if each == VARIANT else each for each in plan.steps]
    return replace(plan, steps=tuple(steps))


def take_input_away(plan: Plan) -> Plan:
    return replace(plan, steps=(MODEL, replace(VARIANT, inputs=("model",)), ANSWERS, TIMES))


def edit_code(plan: Plan, image: str) -> Plan:
    return replace(plan, steps=null_image.with_code(plan.steps, CODE | {image: "edited"}))


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (change_parameter, "variant answers times"),
        (take_input_away, "variant answers times"),
        (lambda plan: edit_code(plan, IMAGE), "model variant answers times"),
        (lambda plan: edit_code(plan, "other"), "answers times"),
        (lambda plan: keep_input(plan, "other input") and plan, "model variant answers times"),
        (lambda plan: make(plan, "model", "another") or plan, "variant answers times"),
        (lambda plan: make(plan, "answers", "another") or plan, "times"),
    ],
    ids=["parameter", "inputs", "code", "other image", "input", "upstream", "optional"],
)
def test_what_depends_on_a_change_is_stale_and_nothing_else(made, change, stale):
    stage_states = states(change(made))
    assert {name for name, state in stage_states.items() if state == "stale"} == set(stale.split())
    assert set(stage_states.values()) <= {"stale", "fresh"}


def test_a_stale_artifact_has_a_manifest_but_is_not_current(made):
    freshness = Freshness(change_parameter(made))
    for name in ("variant", "answers", "times"):
        assert freshness.manifest(name) is not None
        assert freshness.current(name) is None
    assert freshness.current("model") == freshness.manifest("model")
    assert freshness.current(INPUT) is not None


def test_a_setting_put_back_is_fresh_again(made):
    assert "stale" in states(change_parameter(made)).values()
    assert "stale" not in states(made).values()


def test_an_upstream_artifact_made_again_with_the_same_content_changes_nothing(made):
    make(made, "model")
    assert set(states(made).values()) == {"fresh"}


def test_an_artifact_whose_input_is_gone_is_stale(made):
    shutil.rmtree(store.artifact_path(made, "model"))
    assert states(made) == {"model": "absent", "variant": "stale", "answers": "stale", "times": "stale"}


def test_a_step_below_an_unsupported_input_is_not_applicable(made):
    make(made, "model", status="unsupported", reason="no converter")
    freshness = Freshness(made)
    assert states(made) == {
        "model": "fresh",
        "variant": "not applicable",
        "answers": "not applicable",
        "times": "stale",
    }
    assert freshness.done(VARIANT)
    assert freshness.inputs(VARIANT).not_applicable == "model"
    assert freshness.inputs(ANSWERS) == Inputs({"variant": ""}, not_applicable="variant")


def test_an_old_result_is_not_current_when_its_input_is_unsupported(made):
    make(made, "model", status="unsupported", reason="no converter")
    assert Freshness(made).manifest("variant") is not None
    assert Freshness(made).current("variant") is None


def test_an_unsupported_optional_input_counts_as_none(made):
    make(made, "variant", status="unsupported", reason="no kernel")
    digests = Freshness(made).inputs(TIMES).digests
    assert (digests["variant"], digests["answers"]) == ("", "")
    make(made, "times")
    assert states(made)["times"] == "fresh"


def test_an_optional_input_that_appears_makes_stale(plan):
    keep_input(plan)
    make(plan, "times")
    assert states(plan)["times"] == "fresh"
    for name in ("model", "variant"):
        make(plan, name)
    assert states(plan)["times"] == "stale"


def test_inputs_have_the_digest_of_each(made):
    freshness = Freshness(made)
    inputs = freshness.inputs(VARIANT)
    assert inputs == Inputs({name: store.digest(freshness.manifest(name)) for name in ("model", INPUT)})
    assert list(inputs.digests) == ["model", INPUT]


def test_the_first_missing_input_is_named(plan):
    assert Freshness(plan).inputs(VARIANT) == Inputs({"model": "", INPUT: ""}, missing="model")
    keep_input(plan)
    make(plan, "model")
    shutil.rmtree(store.artifact_path(plan, INPUT))
    assert Freshness(plan).inputs(VARIANT).missing == "model", "it was made from what is gone"


def test_a_missing_optional_input_is_not_missing(plan):
    keep_input(plan)
    inputs = Freshness(plan).inputs(TIMES)
    assert (inputs.missing, inputs.not_applicable) == ("", "")
    assert (inputs.digests["variant"], inputs.digests["answers"]) == ("", "")


def test_each_artifact_is_read_once(made, monkeypatch):
    read, read_verified_manifest = [], store.read_verified_manifest
    monkeypatch.setattr(
        store, "read_verified_manifest", lambda path, name: read.append(name) or read_verified_manifest(path, name)
    )
    freshness = Freshness(made)
    for _ in range(2):
        assert all(freshness.done(each) for each in made.steps)
    assert sorted(read) == ["answers", INPUT, "model", "times", "variant"]


def test_what_was_made_anew_is_read_again_once_it_is_forgotten(plan):
    keep_input(plan)
    freshness = Freshness(plan)
    assert freshness.state(VARIANT) == "absent"
    for name in ("model", "variant"):
        make(plan, name)
        freshness.forget()
    assert freshness.state(VARIANT) == "fresh"


def test_a_change_after_the_manifest_is_a_state_of_its_own(made):
    (store.artifact_path(made, "model") / "text.txt").write_text("MODEL")
    states = {step.output: Freshness(made).state(step) for step in made.steps}
    assert states == {"model": "damaged", "variant": "stale", "answers": "stale", "times": "stale"}


def test_what_was_made_of_a_damaged_input_is_stale(made):
    (store.artifact_path(made, INPUT) / store.MANIFEST).write_text("")
    assert Freshness(made).manifest(INPUT) is None
    assert all(Freshness(made).state(step) == "stale" for step in made.steps)


def test_an_isolated_step_believes_what_it_was_given(made):
    """In a container of its own there is nothing to judge its inputs by."""
    shutil.rmtree(store.artifact_path(made, INPUT))
    assert Freshness(made).current("variant") is None
    assert Freshness(made, isolated=True).current("variant") is not None


def test_what_takes_the_place_of_an_artifact_is_hashed(made):
    freshness = Freshness(made)
    before = freshness.manifest("model")
    make(made, "model", text="another")
    assert freshness.manifest("model") == before, "one look at the volume is of one moment"
    freshness.forget()
    assert freshness.manifest("model") != before
