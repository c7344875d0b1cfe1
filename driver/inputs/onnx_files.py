"""The files that an ONNX file keeps its weights in, found without a framework: their names are part of its content."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

# Of ONNX's messages (onnx.proto): the fields in which messages with weights are, and the message that each has.
FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
# The fields of a tensor that tell where its data are, and the value where they are in another file.
EXTERNAL_DATA, DATA_LOCATION, EXTERNAL = 13, 14, 1
KEY, VALUE = 1, 2  # fields of an entry of external_data
LOCATION = b"location"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
DEEPEST = 100  # messages inside of one another, protobuf's own limit


class NotProtobufError(Exception):
    """The file is cut short, or none of protobuf: the stage that reads it says so."""


def list_locations(path: Path) -> list[str]:
    """The names, relative to the file's folder, of the files that `path` keeps weights in, in the file's order.

    None where there are none, and where the file can't be read: the stage that opens it tells the reason.
    """
    if not path.stat().st_size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(LOCATION) < 0:
            return []
        try:
            found = dict.fromkeys(iterate_locations(content, 0, len(content), "model", 0))
        except (NotProtobufError, UnicodeDecodeError):
            return []
        return list(found)


def iterate_locations(content: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    """Yield the locations in the message between these positions."""
    if depth > DEEPEST:
        raise NotProtobufError
    if message == "tensor":
        yield from read_location(content, start, end)
        return
    for field, value in iterate_fields(content, start, end):
        if field in FIELDS[message] and isinstance(value, slice):
            yield from iterate_locations(content, value.start, value.stop, FIELDS[message][field], depth + 1)


def read_location(content: mmap.mmap, start: int, end: int) -> Iterator[str]:
    """Yield the location of a tensor whose data are in another file; nothing of any other."""
    fields = list(iterate_fields(content, start, end))
    if (DATA_LOCATION, EXTERNAL) not in fields:
        return
    for field, place in fields:
        if field == EXTERNAL_DATA and isinstance(place, slice):
            parts = iterate_fields(content, place.start, place.stop)
            entry = {number: content[part] for number, part in parts if isinstance(part, slice)}
            if entry.get(KEY) == LOCATION:
                yield entry.get(VALUE, b"").decode()


def iterate_fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int | slice]]:
    """Yield each field's number with its value, an int, or the place of its bytes."""
    while start < end:
        tag, start = read_varint(content, start, end)
        kind = tag & 7
        if kind == VARINT:
            value, start = read_varint(content, start, end)
            yield tag >> 3, value
            continue
        if kind not in (FIXED64, BYTES, FIXED32):
            raise NotProtobufError
        length, start = read_varint(content, start, end) if kind == BYTES else (8 if kind == FIXED64 else 4, start)
        if start + length > end:
            raise NotProtobufError
        yield tag >> 3, slice(start, start + length)
        start += length


def read_varint(content: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """A number of variable length at `start`, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if start >= end:
            break
        byte = content[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
    raise NotProtobufError
