"""Artifacts are verified before they are used, and nothing half-written is ever read."""

import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import null_image
import pytest
from null_image import EXPERIMENT, IMAGE, INPUT, step

from shared.artifacts import store
from shared.contract import Failure, File, encode, read
from shared.errors import CrossquantError

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2
FILES = {"model.onnx": "weights", "deep/about.json": "{}"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with shared/ and two images."""
    folder = tmp_path / "checkout"
    for name in ("shared/stage.py", "images/null/write.py", "images/null/requirements.lock", "images/other/write.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    monkeypatch.setattr(store, "ROOT", folder)
    return folder


@pytest.fixture
def plan(volumes: Path):  # noqa: ARG001
    return null_image.plan(step("made"), code={IMAGE: "c0de"})


@pytest.fixture
def made(plan) -> Path:
    """The folder of an artifact with its manifest."""
    null_image.keep(plan, "made", FILES)
    return store.artifact_path(plan, "made")


def test_the_volumes_are_in_the_checkout_unless_the_environment_says_otherwise(root, monkeypatch):
    monkeypatch.delenv("CROSSQUANT_VOLUMES", raising=False)
    assert store.volumes() == root / "volumes"
    monkeypatch.setenv("CROSSQUANT_VOLUMES", "")
    assert store.volumes() == root / "volumes"
    monkeypatch.setenv("CROSSQUANT_VOLUMES", "/elsewhere")
    assert store.volumes() == Path("/elsewhere")


def test_everything_of_an_experiment_is_in_its_folder(volumes, plan):
    assert store.plan_path(EXPERIMENT) == volumes / "tiny/plan.json"
    assert store.artifact_path(plan, "made") == volumes / "tiny/null/made"
    assert store.artifact_path(plan, INPUT) == volumes / "inputs/data"
    assert store.failure_path(plan, "made") == volumes / "tiny/null/failures/made.json"
    assert store.log_path(plan, "made") == volumes / "tiny/null/logs/made.log"


@pytest.mark.usefixtures("volumes")
def test_a_name_with_a_dot_keeps_all_of_it_in_its_log():
    dotted = null_image.plan(step("onnx.int8"), code={})
    assert store.log_path(dotted, "onnx.int8").name == "onnx.int8.log"


def test_a_file_is_hashed_whole(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("abc")
    for block in (1, 2, 3, 1 << 20):
        monkeypatch.setattr(store, "BLOCK", block)
        assert store.file_sha256(tmp_path / "file") == ABC


def test_every_file_but_the_manifest_is_listed(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.txt", "deep/b.txt", ".hidden", store.MANIFEST):
        (tmp_path / name).write_text("abc")
    expected = File(ABC, 3)
    assert store.list_files(tmp_path) == {".hidden": expected, "a.txt": expected, "deep/b.txt": expected}


def test_an_artifact_with_a_manifest_opens(made):
    manifest = store.read_verified_manifest(made, "made")
    assert manifest == read(type(manifest), made / store.MANIFEST)
    assert sorted(manifest.files) == sorted(FILES)


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path):
    (tmp_path / "model.onnx").write_text("weights")
    assert store.read_verified_manifest(tmp_path, "made") is None
    assert store.read_verified_manifest(tmp_path / "absent", "made") is None


def overwrite(made: Path) -> None:
    """As many bytes, and the times as they were: only a hash sees it."""
    path = made / "model.onnx"
    shutil.copy2(path, made.parent / "times")
    path.write_text("WEIGHTS")
    shutil.copystat(made.parent / "times", path)


@pytest.mark.parametrize(
    "change",
    [
        overwrite,
        lambda made: (made / "model.onnx").write_text("weights and more"),
        lambda made: (made / "model.onnx").unlink(),
        lambda made: (made / "model.onnx").rename(made / "model2.onnx"),
        lambda made: (made / "deep" / "extra").write_text(""),
        lambda made: shutil.rmtree(made / "deep"),
    ],
    ids=["overwritten", "longer", "removed", "renamed", "added", "folder removed"],
)
def test_a_change_after_the_manifest_is_refused(made, change):
    change(made)
    with pytest.raises(store.Damaged) as caught:
        store.read_verified_manifest(made, "made")
    assert (
        str(caught.value) == f"artifact 'made' in {made} changed after it was published: run again, which makes it anew"
    )


def test_a_broken_manifest_is_named(made):
    (made / store.MANIFEST).write_text("{}")
    with pytest.raises(store.Damaged) as caught:
        store.read_verified_manifest(made, "made")
    assert str(caught.value).startswith(
        f"artifact 'made' in {made} is damaged ({made / store.MANIFEST}: schema: is missing"
    )


@pytest.mark.parametrize(
    ("plant", "problem"),
    [
        (lambda made: (made / "link").symlink_to("/etc/passwd"), "link is a link or a device"),
        (lambda made: (made / "deep" / "link").symlink_to(".."), "deep/link is a link or a device"),
        (lambda made: os.mkfifo(made / "pipe"), "pipe is a link or a device"),
        (lambda made: (made / "a\nb").touch(), "a b: a file's name must have no control characters"),
        (lambda made: (made / "/".join("d" * 40)).mkdir(parents=True), "folders are nested more than 32 deep"),
    ],
    ids=["symlink", "symlink to a folder", "pipe", "name", "deep"],
)
def test_only_plain_files_make_an_artifact(made, plant, problem):
    plant(made)
    with pytest.raises(CrossquantError, match=re.escape(problem)):
        store.list_files(made)
    with pytest.raises(store.Damaged):
        store.read_verified_manifest(made, "made")


def test_a_manifest_below_the_first_folder_is_a_file_like_any_other(made):
    assert f"deep/{store.MANIFEST}" not in store.list_files(made)
    (made / "deep" / store.MANIFEST).touch()
    assert f"deep/{store.MANIFEST}" in store.list_files(made)


def test_whatever_a_stage_has_made_is_removed(tmp_path):
    """Also as an ordinary user, who may not look into a folder without permissions."""
    folder = tmp_path / "made"
    place = folder
    for _ in range(300):  # deeper than Python's recursion goes once, and within the length of a path
        place = place / "dddd"
    place.mkdir(parents=True)
    (folder / "closed").mkdir(mode=0)
    store.remove(folder)
    assert not folder.exists()
    (tmp_path / "link").symlink_to(tmp_path)
    store.remove(tmp_path / "link")
    assert tmp_path.exists() and not (tmp_path / "link").is_symlink()


def test_a_digest_is_of_the_content_alone(plan):
    first = null_image.keep(plan, "made", FILES)
    moved = null_image.keep(plan, "made", FILES, parameters={"a": 1}, code="other", inputs={INPUT: "d"})
    assert store.digest(moved) == store.digest(first)


@pytest.mark.parametrize(
    ("files", "fields"),
    [
        (FILES | {"model.onnx": "Weights"}, {}),
        ({"model2.onnx": "weights", "deep/about.json": "{}"}, {}),
        ({"model.onnx": "weights"}, {}),
        (FILES, {"status": "unsupported"}),
        (FILES, {"reason": "no kernel"}),
    ],
    ids=["content", "name", "fewer files", "status", "reason"],
)
def test_a_digest_changes_with(plan, files, fields):
    assert store.digest(null_image.keep(plan, "made", FILES)) != store.digest(
        null_image.keep(plan, "made", files, **fields)
    )


def test_a_temporary_folder_is_beside_its_artifact_and_gone_afterwards(tmp_path):
    with store.temporary(tmp_path / "null" / "made") as folder:
        assert folder.parent == tmp_path / "null"
        assert list(folder.iterdir()) == []
        (folder / "deep").mkdir()
    assert list((tmp_path / "null").iterdir()) == []


def test_a_temporary_folder_is_gone_after_an_error_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), store.temporary(tmp_path / "made") as folder:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_publishing_replaces_the_old_artifact_whole(plan, made):
    null_image.keep(plan, "made", {"new.txt": "new"})
    assert sorted(path.name for path in made.rglob("*")) == [store.MANIFEST, "new.txt"]
    assert [path.name for path in made.parent.iterdir()] == ["made"]


def test_writing_leaves_the_old_text_until_the_new_is_whole(tmp_path):
    path = tmp_path / "plan.json"
    store.write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        store.write_atomically(path, "new \udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_is_recorded_and_replaced(plan):
    for reason in ("first", "second"):
        store.record_failure(plan, Failure("made", "failed", reason))
    path = store.failure_path(plan, "made")
    assert path.read_text() == encode(Failure("made", "failed", "second"))
    assert list(path.parent.iterdir()) == [path]


def test_only_what_a_killed_process_left_of_this_artifact_is_removed(made):
    folder = made.parent
    (folder / ".made.17.partial" / "deep").mkdir(parents=True)
    (folder / ".made.0123456789abcdef.partial").write_text("{")
    (folder / ".made.d2.17.partial").mkdir()
    (folder / "made.partial").mkdir()
    store.remove_partials(made)
    assert sorted(path.name for path in folder.iterdir()) == [".made.d2.17.partial", "made", "made.partial"]


def test_two_writers_of_one_artifact_never_share_a_folder(tmp_path):
    with store.temporary(tmp_path / "made") as one, store.temporary(tmp_path / "made") as other:
        assert one != other


@pytest.mark.parametrize(("free", "full"), [(0, True), (store.LEAST_FREE - 1, True), (store.LEAST_FREE, False)])
def test_a_disk_with_next_to_nothing_free_is_full(tmp_path, monkeypatch, free, full):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, (1 << 30) - free, free))
    assert store.is_full(tmp_path) is full
