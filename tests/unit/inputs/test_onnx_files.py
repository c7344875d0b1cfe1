"""The files that an ONNX file keeps its weights in are found without a framework, and come to the volume with it."""

import os
from pathlib import Path

import pytest

from driver.experiment.model import Model
from driver.inputs import onnx_files, user_files
from shared import onnx_size
from shared.errors import CrossquantError

NODE, INITIALIZER, SPARSE = 1, 5, 15  # fields of a graph
GRAPH, FUNCTION = 7, 25  # of a model


def varint(value: int) -> bytes:
    pieces = []
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*pieces, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(key: str, value: str) -> bytes:
    return field(13, field(1, key.encode()) + field(2, value.encode()))


def tensor(location: str, *, external: int = 1) -> bytes:
    """A tensor with the dimensions, type and name before its location, as ONNX writes them."""
    start = b"\x08\x03" + b"\x10\x01" + field(8, b"weight") + field(9, bytes(400))
    return start + entry("offset", "16") + entry("location", location) + b"\x70" + varint(external)


def model(*locations: str) -> bytes:
    """A file with its version, and one initializer for each location."""
    graph = b"".join(field(INITIALIZER, tensor(location)) for location in locations)
    return b"\x08\x08" + field(2, b"maker") + field(GRAPH, graph)


def attribute(number: int, content: bytes) -> bytes:
    return field(NODE, field(4, b"Constant") + field(5, field(1, b"value") + field(number, content)))


PLACES = {
    "initializer": field(GRAPH, field(INITIALIZER, tensor("w"))),
    "sparse": field(GRAPH, field(SPARSE, field(1, tensor("w")))),
    "indices": field(GRAPH, field(SPARSE, field(2, tensor("w")))),
    "constant": field(GRAPH, attribute(5, tensor("w"))),
    "list": field(GRAPH, attribute(10, tensor("w"))),
    "sparse constant": field(GRAPH, attribute(22, field(1, tensor("w")))),
    "branch": field(GRAPH, attribute(6, field(INITIALIZER, tensor("w")))),
    "branches": field(GRAPH, attribute(11, attribute(5, tensor("w")))),
    "function": field(FUNCTION, field(7, field(5, field(5, tensor("w"))))),
    "default of a function": field(FUNCTION, field(11, field(5, tensor("w")))),
    "training": field(20, field(1, field(INITIALIZER, tensor("w")))),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "my.onnx"


def put(path: Path, content: bytes, *names: str) -> Path:
    for name in names:
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).write_bytes(b"weights")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("place", PLACES)
def test_a_location_is_found_wherever_it_is(place: str, path: Path):
    assert onnx_files.list_locations(put(path, b"\x08\x08" + PLACES[place])) == ["w"]


def test_each_location_is_listed_once_in_the_files_order(path: Path):
    assert onnx_files.list_locations(put(path, model("b", "a", "b"))) == ["b", "a"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no protobuf, but a location",
        model("w")[:-5],
        b"\x08\x08" + field(GRAPH, field(INITIALIZER, tensor("w", external=0))),
        b"\xff" * 40 + b"location",
        b"\x0b\x0c" + model("w"),  # a group, which no version of ONNX has
        field(
            GRAPH,
            field(INITIALIZER, tensor("w")[:-2] + field(13, field(1, b"location") + field(2, b"\xff")) + b"\x70\x01"),
        ),
    ],
)
def test_a_file_without_locations_or_that_can_not_be_read(content: bytes, path: Path):
    """What is wrong with it, the stage that opens it says."""
    assert onnx_files.list_locations(put(path, content)) == []


def test_messages_within_messages_end_somewhere(path: Path):
    content = field(INITIALIZER, tensor("w"))
    for _ in range(2000):
        content = attribute(6, content)
    assert onnx_files.list_locations(put(path, field(GRAPH, content))) == []


def test_the_files_come_with_the_model(path: Path):
    put(path, model("my.data", "weights/a.bin", "./my.data"), "my.data", "weights/a.bin", "another")
    files = user_files.model_files(path, Model(sources=()))
    folder = path.parent
    assert files == {
        "my.onnx": path,
        "my.data": folder / "my.data",
        "weights/a.bin": folder / "weights" / "a.bin",
    }


def refused(path: Path) -> str:
    with pytest.raises(CrossquantError) as caught:
        user_files.model_files(path, Model(sources=()))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret", "a\0b", "", "link", "linked/w"])
def test_a_file_outside_of_the_folder_stays_there(location: str, path: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    for name in ("secret", "elsewhere/w"):
        (tmp_path / name).write_bytes(b"secret")
    put(path, model(location))
    (path.parent / "link").symlink_to(tmp_path / "secret")
    (path.parent / "linked").symlink_to(tmp_path / "elsewhere")
    assert "outside of its folder: save the model with all of its files in one folder" in refused(path)


@pytest.mark.parametrize("kind", ["nothing", "folder", "pipe"])
def test_a_file_that_is_not_there(kind: str, path: Path):
    put(path, model("my.data"))
    if kind == "folder":
        (path.parent / "my.data").mkdir()
    elif kind == "pipe":
        os.mkfifo(path.parent / "my.data")
    assert refused(path) == "my.onnx keeps weights in 'my.data', which is not beside it: put that file there"


def test_a_location_with_control_characters_is_shown_without(path: Path):
    assert "weights in 'a b', which" in refused(put(path, model("a\x1bb")))


def test_files_too_large_for_one_are_refused_before_they_are_copied(path: Path, monkeypatch: pytest.MonkeyPatch):
    put(path, model("my.data"), "my.data")
    size = path.stat().st_size + len(b"weights")
    monkeypatch.setattr(onnx_size, "LARGEST", size)
    user_files.model_files(path, Model(sources=()))
    monkeypatch.setattr(onnx_size, "LARGEST", size - 1)
    assert refused(path).startswith("my.onnx is too large: it has 0.00 GB, and an ONNX file holds 0 GB, with which")
