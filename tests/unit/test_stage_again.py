"""The stage runner: what runs again, and what is fresh."""

import sys

import null_image
from null_image import IMAGE, keep_input, step
from stage_runner import (
    make_runner,  # noqa: F401 - the fixture `run`
    read_manifest,
    text,
)

from shared.artifacts import store
from shared.contract import Plan
from shared.runner import process
from shared.runner.progress import Event


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
