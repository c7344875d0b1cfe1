"""Downloads that turned out to be the wrong thing or cut short: not kept, or forgotten when a stage can't load them."""

import io
import struct
import zipfile
from dataclasses import replace

import null_image
import numpy as np
import pytest

from driver.experiment.model import Dataset, Experiment, Model, Source
from driver.inputs import fetching, user_files
from driver.inputs.file_content import find_wrong_kind, is_whole
from shared.artifacts import store
from shared.contract import Failure, encode
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")
PAGES = {
    "html5": b"<!DOCTYPE html><title>Log in</title>",
    "with a mark": b"\xef\xbb\xbf\r\n  <html lang='en'>",
    "in two bytes": "﻿<html>".encode("utf-16-le"),
    "after a comment": b"<!-- portal\n-->\n<HTML>",
    "xhtml": b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">',
    "an error of a store": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
    "without a head": b"<script>location='/login'</script>",
}


def zipped(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def hdf5(version: int, size: int = 200, end: int | None = None) -> bytes:
    """The superblock of a file of `size` bytes, which says that it ends at `end`."""
    head = b"\x89HDF\r\n\x1a\n" + bytes([version])
    if version < 2:
        head += bytes([0, 0, 0, 0, 8, 8, 0]) + bytes(8 + 4 * version)
    else:
        head += bytes([8, 8, 0])
    addresses = struct.pack("<QQQ", 0, 2**64 - 1, size if end is None else end)
    return (head + addresses).ljust(size, b"\0")


MODEL = zipped(config=b"{}" * 100, weights=np.random.default_rng(1).bytes(3000))
TABLE = b"a,b,class\n" + b"1,2,cat\n" * 50
KNOWN = {
    "a .keras file": MODEL,
    "HDF5": hdf5(0),
    "npy": b"\x93NUMPY\x01\x00",
    "ONNX": b"\x08\x08\x12\x07tf2onnx",
    "a table": TABLE,
    "a table with markup": b'<b>bold</b>,"b, c"\n',
    "Python": b"import numpy\n",
    "Parquet": b"PAR1....PAR1",
    "PNG": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES)
def test_a_web_page_is_known_by_its_first_bytes(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    assert find_wrong_kind(tmp_path / "model.keras") == "a web page"


def test_a_pointer_of_git_and_nothing_at_all(tmp_path):
    (tmp_path / "a").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    (tmp_path / "b").touch()
    assert [find_wrong_kind(tmp_path / name) for name in "ab"] == ["a Git LFS pointer", "an empty file"]


@pytest.mark.parametrize("content", KNOWN.values(), ids=KNOWN)
def test_models_and_data_are_no_web_pages(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert find_wrong_kind(tmp_path / "file") == ""


WHOLE = {
    "zip": MODEL,
    **{f"HDF5 of version {version}": hdf5(version) for version in range(4)},
    "Parquet": b"PAR1" + b"data" * 9 + b"PAR1",
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_a_file_proves_that_it_is_whole_and_one_that_is_cut_does_not(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert is_whole(path)
    for length in (*range(12), len(content) // 2, len(content) - 5, len(content) - 1):
        path.write_bytes(content[:length])
        assert not is_whole(path), length


def test_a_flipped_bit_in_an_archive_and_other_formats_prove_nothing(tmp_path):
    path = tmp_path / "file"
    flipped = bytearray(MODEL)
    flipped[len(MODEL) // 2] ^= 1
    for content in (bytes(flipped), TABLE, b"\x08\x08\x12\x07tf2onnx", hdf5(0, end=2**64 - 1)):
        path.write_bytes(content)
        assert not is_whole(path)


@pytest.mark.parametrize(
    "look", [user_files.model_files, lambda path, _: user_files.data_files(path)], ids=["model", "data"]
)
def test_a_page_that_a_browser_saved_as_the_file_is_refused(tmp_path, look):
    path = tmp_path / "mine.keras"
    path.write_bytes(PAGES["html5"])
    with pytest.raises(CrossquantError) as caught:
        look(path, Model(()))
    assert str(caught.value).startswith(f"{path} is a web page, not ")
    assert str(caught.value).endswith(": get the file itself")


# From a server


@pytest.fixture
def model(server):
    server.path = "/data/m.keras"
    server.content = MODEL
    return experiment(Model((Source(url=server.url),)))


@pytest.fixture
def table(server, tmp_path):
    (tmp_path / "m.keras").write_bytes(MODEL)
    server.path = "/data/t.csv"
    server.content = TABLE
    data = Dataset("mine", (Source(url=server.url),))
    chosen = experiment(Model((Source(path=str(tmp_path / "m.keras")),)))
    return replace(chosen, dataset=data, options={"data": {"kind": "table"}})


def experiment(model: Model) -> Experiment:
    return Experiment(null_image.EXPERIMENT, model, Dataset("cifar10", ()), {})


def fetch(chosen):
    """The lines that were said."""
    messages = []
    fetching.fetch(chosen, not chosen.own_data, messages.append, lambda *_: None)
    return messages


def refused(chosen):
    with pytest.raises(CrossquantError) as caught:
        fetch(chosen)
    return str(caught.value)


def kept(name):
    """The content of the input's copy on the volume."""
    folder = {"m.keras": "models/tiny", "t.csv": "mine/files"}[name]
    return (store.volumes() / "inputs" / folder / name).read_bytes()


def downloads():
    folder = store.volumes() / "inputs" / "downloads"
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def fail(name, output="keras.fp32", status="failed"):
    """As a run leaves it in which the stage that reads the input `name` fails."""
    steps = (null_image.step(output, inputs=(name,)), null_image.step("other", inputs=("dataset",)))
    plan = null_image.plan(*steps, code={})
    store.write_atomically(store.plan_path(plan.experiment), encode(plan))
    store.record_failure(plan, Failure(output, status, "can't be read"))
    store.record_failure(plan, Failure("other", "failed", "for another reason"))
    return store.failure_path(plan, output)


@pytest.mark.parametrize("content", [*PAGES.values(), b"version https://git-lfs.github.com/spec/v1\n", b""])
def test_a_page_in_the_place_of_a_model_is_refused_at_once_and_not_kept(server, model, content):
    server.content = content
    message = refused(model)
    assert message.startswith(f"no model for 'tiny': {server.url} answered with a")
    assert message.endswith(": correct the address, or log in to this network and run again")
    assert downloads() == []
    server.content = MODEL
    assert fetch(model) == []
    assert kept("m.keras") == MODEL


def test_a_page_in_the_place_of_data(server, table):
    server.content = PAGES["html5"]
    assert refused(table).startswith(f"no data for 'mine': {server.url} answered with a web page: ")
    server.content = TABLE
    assert fetch(table) == []
    assert kept("t.csv") == TABLE


def test_a_page_that_an_earlier_version_kept_is_not_used(server, model):
    path = fetching.download_path(Source(url=server.url))
    path.parent.mkdir(parents=True)
    path.write_bytes(PAGES["html5"])
    assert fetch(model) == []
    assert kept("m.keras") == MODEL


def test_a_page_that_was_cut_off_is_not_gone_on_with(server, model):
    path = fetching.download_path(Source(url=server.url))
    path.parent.mkdir(parents=True)
    path.with_name("m.keras.part").write_bytes(PAGES["html5"])
    assert fetch(model) == []
    assert kept("m.keras") == MODEL


def test_a_download_that_changed_on_the_disk_is_brought_again(server, model):
    fetch(model)
    path = fetching.download_path(Source(url=server.url))
    path.write_bytes(MODEL[:-1] + b"x")
    assert fetch(model) == []
    assert path.read_bytes() == kept("m.keras") == MODEL
    assert len(server.requests) == 2
    fetch(model)
    assert len(server.requests) == 2, "a sound one is used"


@pytest.mark.parametrize(("name", "file"), [(fetching.MODEL, "m.keras"), (fetching.DATASET, "t.csv")])
def test_what_was_cut_short_is_forgotten_when_its_stage_has_failed(server, request, name, file):
    chosen = request.getfixturevalue("model" if name == fetching.MODEL else "table")
    right, server.content = server.content, server.content[: len(server.content) // 2]
    assert fetch(chosen) == [], "no length, no sum: nothing is known yet"
    record = fail(name)
    (line,) = fetching.list_doubtful(chosen)
    assert line == (
        f"keras.fp32 failed on what {server.url} gave, which no sha256 vouches for: the next run downloads it again"
    )
    server.content = right
    assert fetch(chosen) == [f"keras.fp32 could not load what {server.url} gave: downloading it again"]
    assert kept(file) == right
    assert not record.exists(), "it is about another file"
    assert record.with_name("other.json").exists()
    assert (fetch(chosen), fetching.list_doubtful(chosen)) == ([], [])
    assert len(server.requests) == 2


def test_without_a_network_the_next_run_is_no_worse(server, model):
    server.content = MODEL[:2000]
    fetch(model)
    fail(fetching.MODEL)
    server.status = 503
    again, going_on = fetch(model)
    assert again == f"keras.fp32 could not load what {server.url} gave: downloading it again"
    assert going_on == f"{server.url}: HTTP 503: going on with the copy on the volume"
    assert kept("m.keras") == MODEL[:2000]
    server.status, server.content = 200, PAGES["html5"]
    assert "answered with a web page" in fetch(model)[1]
    assert kept("m.keras") == MODEL[:2000]
    server.content = MODEL
    assert len(fetch(model)) == 1
    assert kept("m.keras") == MODEL


def test_a_failure_of_what_is_provably_whole_downloads_nothing(server, model):
    """It has another reason: code in the model that isn't trusted, say."""
    fetch(model)
    fail(fetching.MODEL)
    assert fetching.list_doubtful(model) == []
    assert fetch(model) == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "excuse",
    [
        lambda: fail(fetching.MODEL, status="skipped"),
        lambda: fail("input.other"),
        lambda: fail(fetching.MODEL).unlink(),
    ],
)
def test_without_a_failure_of_its_stage_nothing_is_downloaded_again(server, model, excuse):
    server.content = MODEL[:2000]
    fetch(model)
    excuse()
    assert fetch(model) == []
    assert len(server.requests) == 1


def test_what_a_sha256_vouches_for_is_not_downloaded_again(server, model, tmp_path):
    server.content = b"not in a format that proves anything"
    (tmp_path / "same").write_bytes(server.content)
    pinned = replace(model, model=replace(model.model, sha256=store.file_sha256(tmp_path / "same")))
    fetch(pinned)
    fail(fetching.MODEL)
    assert (fetch(pinned), fetching.list_doubtful(pinned)) == ([], [])
    assert len(server.requests) == 1


def test_a_file_of_the_user_is_left_alone(server, model, tmp_path):
    """The failure was that of a file on this host; the address stands behind it in the list."""
    mine = tmp_path / "mine.keras"
    mine.write_bytes(b"no model")
    both = replace(model, model=Model((Source(path=str(mine)), Source(url=server.url))))
    fetch(both)
    fail(fetching.MODEL)
    assert (fetch(both), fetching.list_doubtful(both)) == ([], [])
    assert server.requests == []
    assert mine.read_bytes() == b"no model"


def test_a_damaged_record_and_a_damaged_plan_stop_nothing(server, model):
    server.content = MODEL[:2000]
    fetch(model)
    fail(fetching.MODEL).write_text("{")
    server.content = MODEL
    assert len(fetch(model)) == 1
    store.plan_path("tiny").write_text("{")
    assert fetch(model) == []


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}'])
def test_a_copy_with_a_damaged_manifest_is_made_anew(model, text):
    fetch(model)
    manifest = store.volumes() / "inputs" / "models" / "tiny" / store.MANIFEST
    manifest.write_text(text)
    assert fetch(model) == []
    assert store.read_verified_manifest(manifest.parent, "input.model")


def test_a_recorded_sum_that_is_no_text_is_not_believed(server, model):
    server.content = MODEL
    fetch(model)
    path = fetching.download_path(model.model.sources[0])
    fetching.sum_path(path).write_bytes(b"\xff\xfe")
    assert not fetching.is_as_downloaded(path)
    fetching.sum_path(path).write_bytes(store.file_sha256(path).encode())
    assert fetching.is_as_downloaded(path)
