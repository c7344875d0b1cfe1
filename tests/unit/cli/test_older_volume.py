"""An experiment's folder of another version is set aside whole, under a name that is free."""

import json

import null_image
import pytest
from null_image import EXPERIMENT, INPUT, keep, keep_input, step

from driver.cli import older_volume
from driver.engines import execute
from shared.artifacts import store
from shared.contract import encode
from shared.errors import CrossquantError


@pytest.fixture
def plan():
    """An experiment's folder as this version leaves it."""
    null_plan = null_image.plan(step("made"), code={})
    keep_input(null_plan)
    keep(null_plan, "made", {"text.txt": "made"})
    store.write_atomically(store.plan_path(EXPERIMENT), encode(null_plan))
    return null_plan


def give_schema(path, number):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": number}))


def give_plan_of_before(_):
    give_schema(store.plan_path(EXPERIMENT), 1)


def give_manifest_of_later(plan):
    give_schema(store.artifact_path(plan, "made") / store.MANIFEST, 7)


def test_what_this_version_has_written_stays(plan, volumes):
    assert older_volume.set_aside(EXPERIMENT) == ""
    assert store.read_verified_manifest(store.artifact_path(plan, "made"), "made")
    assert sorted(path.name for path in volumes.iterdir()) == ["inputs", EXPERIMENT]


def test_where_nothing_is_there_is_nothing_to_do(volumes):
    assert older_volume.set_aside(EXPERIMENT) == ""
    assert not (volumes / EXPERIMENT).exists()


@pytest.mark.parametrize("change", [give_plan_of_before, give_manifest_of_later])
def test_another_schema_sets_the_folder_aside_and_nothing_is_deleted(plan, volumes, change):
    change(plan)
    assert older_volume.set_aside(EXPERIMENT) == (
        "tiny on the volume is of another version of crossquant: kept as tiny.old, made anew"
    )
    assert not (volumes / EXPERIMENT).exists()
    assert (volumes / "tiny.old/null/made/text.txt").read_text() == "made"
    assert store.read_verified_manifest(store.artifact_path(plan, INPUT), INPUT), "inputs are shared by experiments"


def test_an_earlier_one_that_was_set_aside_keeps_its_name(plan, volumes):
    for name in ("tiny.old", "tiny.old.2"):
        (volumes / name).mkdir()
    give_plan_of_before(plan)
    assert "kept as tiny.old.3," in older_volume.set_aside(EXPERIMENT)
    assert list((volumes / "tiny.old").iterdir()) == []


@pytest.mark.parametrize("text", ["", "[1]", '{"schema": "one"}', '{"a": 1}'])
@pytest.mark.usefixtures("plan")
def test_a_damaged_plan_is_no_other_version(text):
    store.plan_path(EXPERIMENT).write_text(text)
    assert older_volume.set_aside(EXPERIMENT) == ""


def test_it_is_refused_while_another_driver_works_there(plan):
    give_plan_of_before(plan)
    with execute.lock(EXPERIMENT), pytest.raises(CrossquantError, match="is in use by"):
        older_volume.set_aside(EXPERIMENT)
