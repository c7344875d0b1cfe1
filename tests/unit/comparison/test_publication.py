"""The folder of a comparison: whole or not at all, whenever its writer is killed and however many there are."""

import ctypes
import itertools
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from driver.comparison import publication
from driver.comparison.publication import FILES, MANIFEST, DamagedComparison
from shared.artifacts import exchange as exchanging

OLD = {name: f"old {name}\n" for name in FILES}
NEW = {name: f"new {name}\n" for name in FILES}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "comparison"


@pytest.fixture(params=["swap", "two renames"])
def way(request, monkeypatch):
    """By the system call, and as on a file system that hasn't it."""
    if request.param == "two renames":
        monkeypatch.setattr(publication, "exchange", lambda *_: False)
    return request.param


def read(folder):
    files = publication.read_files(folder)
    return files and {name: content.decode() for name, content in files.items()}


def publish(folder, texts):
    publication.publish(folder, texts)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("way")
def test_what_is_published_is_read_back(folder):
    assert read(folder) is None
    for texts in (OLD, NEW, OLD):
        publish(folder, texts)
        assert read(folder) == texts
        assert names(folder) == sorted([*FILES, MANIFEST])
        assert names(folder.parent) == [".comparison.lock", "comparison"]


def test_an_empty_folder_is_no_comparison(folder):
    folder.mkdir(parents=True)
    assert read(folder) is None
    publish(folder, NEW)
    assert read(folder) == NEW


def test_what_else_is_in_the_folder_is_no_damage_and_goes_with_it(folder):
    """Such as the pictures that earlier versions put there."""
    publish(folder, OLD)
    (folder / "sensitivity.onnx.int8.svg").write_text("<svg>")
    assert read(folder) == OLD
    publish(folder, NEW)
    assert names(folder) == sorted([*FILES, MANIFEST])


def test_a_link_to_a_folder_is_replaced_and_not_followed(folder, tmp_path):
    folder.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("kept")
    folder.symlink_to(tmp_path / "elsewhere")
    publish(folder, NEW)
    assert read(folder) == NEW
    assert names(tmp_path / "elsewhere") == ["mine"]
    assert names(folder.parent) == [".comparison.lock", "comparison"]


def test_a_failure_leaves_what_was_there(folder, monkeypatch):
    publish(folder, OLD)
    write = publication.write

    def full(path, content):
        if path.name == "comparison.csv":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(publication, "write", full)
    with pytest.raises(OSError, match="No space"):
        publish(folder, NEW)
    assert read(folder) == OLD
    assert names(folder.parent) == [".comparison.lock", "comparison"]


def test_a_rename_that_fails_is_undone(folder, monkeypatch):
    publish(folder, OLD)
    monkeypatch.setattr(publication, "exchange", lambda *_: False)
    rename = Path.rename

    def refuse(self, target):
        if self.name.endswith(".partial"):
            raise OSError(13, "Permission denied")
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Permission denied"):
        patch.setattr(Path, "rename", refuse)
        publish(folder, NEW)
    assert read(folder) == OLD
    assert names(folder.parent) == [".comparison.lock", "comparison"]


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_flipped_bit_of_any_byte_is_seen(folder, name):
    publish(folder, OLD)
    path = folder / name
    whole = path.read_bytes()
    for number in range(0, 8 * len(whole), 7):  # in each byte, and each of its eight in turn
        content = bytearray(whole)
        content[number // 8] ^= 1 << number % 8
        path.write_bytes(content)
        with pytest.raises(DamagedComparison):
            read(folder)
    path.write_bytes(whole)
    assert read(folder) == OLD


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_file_that_is_gone_or_no_file_is_named(folder, name):
    publish(folder, OLD)
    (folder / name).unlink()
    with pytest.raises(DamagedComparison) as caught:
        read(folder)
    command = f"./crossquant report --experiment {folder.parent.name}"
    assert str(caught.value) == f"{folder / name} is missing: make this comparison anew with `{command}`"
    for make in (Path.mkdir, os.mkfifo):
        make(folder / name)
        with pytest.raises(DamagedComparison, match=r"is no file|can't be read"):
            read(folder)
        (folder / name).rmdir() if (folder / name).is_dir() else (folder / name).unlink()
    publish(folder, NEW)
    assert read(folder) == NEW


# A writer that is killed


def publish_until(folder, texts, fatal):
    """Publish in a process that is killed before its system call number `fatal`; True if it is still at work then.

    Half of a file's content is on the disk when its writing is interrupted.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            arm(fatal)
            publication.publish(folder, texts)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def arm(fatal):
    """Let this process be killed before its step number `fatal` on the disk."""
    count, swap = itertools.count(1), publication.exchange

    def step(event, arguments):
        about_it = any(isinstance(value, str | Path) and ".comparison" in str(value) for value in arguments)
        counts = event.startswith(("os.", "shutil.", "fcntl.", "killed.")) or (event == "open" and about_it)
        if counts and next(count) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(path, content):
        with path.open("wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            sys.audit("killed.halfway", path)
            file.write(content[len(content) // 2 :])

    def exchange(one, other):
        sys.audit("killed.before", one)
        done = swap(one, other)
        sys.audit("killed.after", one)
        return done

    publication.exchange, publication.write = exchange, write
    sys.addaudithook(step)


def state(folder):
    """What a reader finds; healed, if that is needed."""
    files = read(folder)
    return {None: "absent"}.get(files) if files is None else {str(OLD): "old", str(NEW): "new"}[str(files)]


@pytest.mark.parametrize("first", ["old", "nothing", "left by an earlier version"])
def test_a_writer_that_is_killed_anywhere_leaves_the_old_or_the_new(folder, way, first):
    seen = []
    for fatal in itertools.count(1):
        publication.remove(folder)
        if first == "old":
            publish(folder, OLD)
        elif first != "nothing":
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "notes.txt").write_text("no comparison")
        killed = publish_until(folder, NEW, fatal)
        seen.append(state(folder))
        assert state(folder) == seen[-1], "it stays so"
        publish(folder, NEW)
        assert state(folder) == "new"
        assert names(folder.parent) == [".comparison.lock", "comparison"], "the next writer cleans up"
        if not killed:
            break
    before = "old" if first == "old" else "absent"
    assert set(seen) == {before, "new"}
    assert seen == sorted(seen, key=lambda one: one == "new"), "first the one, then the other"
    assert len(seen) > 15, "it was killed at each of many steps"
    assert way in ("swap", "two renames")


def test_between_two_renames_there_is_none_until_the_next_command_looks(folder, monkeypatch):
    monkeypatch.setattr(publication, "exchange", lambda *_: False)
    absent = 0
    for fatal in itertools.count(1):
        publish(folder, OLD)
        killed = publish_until(folder, NEW, fatal)
        if not folder.exists():
            absent += 1
            assert (folder.parent / ".comparison.previous").is_dir()
            assert read(folder) == OLD
            assert folder.exists()
        if not killed:
            break
    assert absent == 1


def test_a_former_folder_that_is_half_removed_is_not_brought_back(folder, monkeypatch):
    monkeypatch.setattr(publication, "exchange", lambda *_: False)
    for fatal in itertools.count(1):
        publish(folder, OLD)
        killed = publish_until(folder, NEW, fatal)
        if folder.exists() and read(folder) == NEW:
            publication.remove(folder)  # by hand
            assert state(folder) in ("absent", "old")
        if not killed:
            break


# Several at once


def test_readers_and_writers_at_once(folder, way):
    """Each reader finds one of the comparisons that were written, whole; nobody is disturbed."""
    publish(folder, OLD)
    reads, done = [], threading.Event()

    def write(number):
        for turn in range(30):
            publish(folder, dict.fromkeys(FILES, f"{number} {turn} " * 500))
            time.sleep(0.005)  # in memory a writer is so fast that no reader gets through the files between two of them

    def look():
        while not done.is_set():
            reads.append(read(folder))

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(look) for _ in range(2)]
        try:
            for writer in [pool.submit(write, number) for number in range(3)]:
                writer.result()
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert len(reads) > 1
    assert [one for one in reads if one != OLD and len(set(one.values())) != 1] == []
    assert names(folder.parent) == [".comparison.lock", "comparison"]
    assert way in ("swap", "two renames")


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(folder, monkeypatch):
    publish(folder, OLD)
    check, calls = publication.check_files, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 1:
            publish(folder, NEW)
        return check(*arguments)

    monkeypatch.setattr(publication, "check_files", interrupted)
    assert read(folder) == NEW
    assert len(calls) == 2


# The system call


def test_two_folders_are_swapped(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchanging.exchange(tmp_path / "a", tmp_path / "b")
    assert (names(tmp_path / "a"), names(tmp_path / "b")) == (["b"], ["a"])


def test_a_path_that_is_missing_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        exchanging.exchange(tmp_path / "a", tmp_path / "b")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "a"), str(tmp_path / "b"))


@pytest.mark.parametrize("number", sorted(exchanging.NOT_OFFERED))
def test_a_file_system_that_can_not_swap_says_so(tmp_path, monkeypatch, number):
    class Library:
        @staticmethod
        def renameat2(*_):
            ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(exchanging.ctypes, "CDLL", lambda *_, **__: Library)
    assert not exchanging.exchange(tmp_path / "a", tmp_path / "b")


def test_a_system_without_the_call_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(exchanging.ctypes, "CDLL", lambda *_, **__: object())
    assert not exchanging.exchange(tmp_path / "a", tmp_path / "b")
