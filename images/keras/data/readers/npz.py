"""Arrays of a `.npz` file, or of `.npy` files in a folder: `x_train`, `y_train`, `x_test`, `y_test`, or `x` and `y`.

`group_train`, `group_test` or `group` has what the samples are grouped by, where they are not independent.

Several inputs are `x_train_0`, `x_train_1`, … or, by names, `x_train.left`, `x_train.right`: in the order of the file.
Arrays are read as streams: never unpickled, and no further than their file is long.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from images.keras.data.sample_sets import (
    ALL,
    TEST,
    TRAIN,
    OutputLabels,
    ReaderOptions,
    Sample,
    SampleSet,
    SampleSets,
    find_root,
    list_entries,
    printable_name,
)
from shared.data.samples import Array
from shared.errors import CrossquantError

NAME = re.compile(r"(?P<kind>[xy]|group)(?:_(?P<split>train|test))?(?:_(?P<number>\d+)|\.(?P<name>.+))?")
BOMB_RATIO, BOMB_SIZE = 200, 1 << 26  # a member above BOMB_SIZE bytes that unpacks to BOMB_RATIO times its size
BLOCK = 1 << 22  # bytes
LARGEST_FORTRAN = 1 << 28  # bytes; an array in Fortran order must be read whole
LONGEST_HEADER = 10_000  # bytes; a header of data has a hundred
LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}  # bytes of a header's length, by the version of the format
DATA_KINDS = "biufU"  # NumPy's letters for types of data: never objects
READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One array in NumPy's format; `size` is the number of bytes that its file says it unpacks to."""

    name: str
    open: Callable[[], IO[bytes]]
    size: int


@dataclass
class Arrays:
    """The arrays of one set by their numbers or names: of inputs, of labels, and of what groups the samples."""

    inputs: dict[str, Member] = field(default_factory=dict)
    labels: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, Member] = field(default_factory=dict)

    def sort(self) -> "Arrays":
        """With numbered arrays by their numbers; named ones stay in the order of the file."""
        return Arrays(*map(sort_numbered, (self.inputs, self.labels, self.groups)))


def sort_numbered(arrays: dict[str, Member]) -> dict[str, Member]:
    keys = sorted(arrays, key=int) if all(key.isdigit() for key in arrays) else list(arrays)
    return {key: arrays[key] for key in keys}


@dataclass(frozen=True)
class Header:
    """Shape, order of the axes and type, as `numpy.lib.format` reads them."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def read(files: Path, _: ReaderOptions) -> SampleSets:
    """The sets of samples in one .npz file, or in the .npy files of a folder. CrossquantError for other names."""
    folder = find_root(files)
    archives = [path for path in list_entries(folder) if path.suffix == ".npz"]
    if len(archives) > 1:
        first, second = (printable_name(path.name) for path in archives[:2])
        raise CrossquantError(f"{first} and {second}: give one .npz file")
    members = archive_members(archives[0]) if archives else folder_members(folder)
    sets = group_by_split(members)
    if not sets:
        names = ", ".join(printable_name(member.name) for member in members) or "nothing"
        raise CrossquantError(
            f"the arrays must be called x_train, y_train, x_test, y_test, or x and y; there are: {names}"
        )
    first_split, first_set = next(iter(sets.items()))
    for split, arrays in sets.items():
        pairs = (("inputs", arrays.inputs, first_set.inputs), ("labels", arrays.labels, first_set.labels))
        for kind, own, others in pairs:
            if set(own) != set(others) and own and others:
                raise CrossquantError(
                    f"the {kind} of the {split} set are {printable_name(list(own))}, those of the "
                    f"{first_split} set {printable_name(list(others))}: give the same for both"
                )
    labels = next((list(arrays.labels) for arrays in sets.values() if arrays.labels), [])
    return {split: make_set(arrays, list(first_set.inputs), labels) for split, arrays in sets.items()}


def archive_members(path: Path) -> list[Member]:
    """The arrays in a .npz file. CrossquantError for one that is damaged, or that unpacks to far more than its size."""
    try:
        archive = zipfile.ZipFile(path)  # it stays open for as long as its members are read
    except READ_ERRORS as error:
        raise CrossquantError(
            f"{printable_name(path.name)} is no .npz archive, or is cut short: {printable_name(error)}"
        ) from None
    entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
    if sum(entry.compress_size for entry in entries) > path.stat().st_size:
        raise CrossquantError(f"{printable_name(path.name)} has overlapping members: NumPy writes no such .npz")
    for entry in entries:
        if entry.file_size > max(BOMB_SIZE, BOMB_RATIO * entry.compress_size):
            ratio = entry.file_size // max(1, entry.compress_size)
            raise CrossquantError(
                f"{printable_name(path.name)}: {printable_name(entry.filename)} unpacks to {ratio} times its size, "
                f"which looks like a zip bomb: if it is none, save it with np.savez, without compression"
            )
    return [
        Member(entry.filename.removesuffix(".npy"), partial(archive.open, entry), entry.file_size) for entry in entries
    ]


def folder_members(folder: Path) -> list[Member]:
    """The arrays of the .npy files in a folder."""
    paths = [path for path in list_entries(folder) if path.suffix == ".npy"]
    return [Member(path.stem, partial(open_binary, path), path.stat().st_size) for path in paths]


def open_binary(path: Path) -> IO[bytes]:
    return path.open("rb")


def group_by_split(members: list[Member]) -> dict[str, Arrays]:
    """The arrays of each set, by their numbers or names."""
    sets: dict[str, Arrays] = {}
    for member in members:
        match = NAME.fullmatch(member.name)
        if match:
            arrays = sets.setdefault(match["split"] or ALL, Arrays())
            key = match["number"] or match["name"] or "0"
            kind = {"x": arrays.inputs, "y": arrays.labels, "group": arrays.groups}[match["kind"]]
            if key in kind:
                raise CrossquantError(f"there are two arrays for {printable_name(member.name)}: leave one out")
            kind[key] = member
    sets = {split: arrays.sort() for split, arrays in sets.items() if arrays.inputs}
    return {split: sets[split] for split in (TRAIN, TEST) if split in sets} or sets


def name_arrays(keys: list[str]) -> tuple[str, ...]:
    """The names of arrays that have these keys; none where they are numbers."""
    return tuple(keys) if not any(key.isdigit() for key in keys) else ()


def make_set(arrays: Arrays, inputs: list[str], labels: list[str]) -> SampleSet:
    """The samples of these arrays, in the order of these keys.

    CrossquantError where the arrays have different numbers of samples.
    """
    input_members = [arrays.inputs[key] for key in inputs]
    label_members = [arrays.labels[key] for key in labels if key in arrays.labels]
    members = [*input_members, *label_members, *arrays.groups.values()]
    lengths = [check_header(member).shape[0] for member in members]
    first = printable_name(input_members[0].name)
    for member, length in zip(members, lengths, strict=True):
        if length != lengths[0]:
            raise CrossquantError(
                f"{first} has {lengths[0]} samples, {printable_name(member.name)} has {length}: fix one of them"
            )
    numbered = labels not in ([], ["0"]) and not name_arrays(labels)
    if numbered and not all(key.isdigit() for key in labels):
        raise CrossquantError(f"labels are named and numbered, {printable_name(labels)}: do one of the two for all")
    return SampleSet(
        iterate_samples(input_members, label_members, list(arrays.groups.values())),
        lambda number: f"{first}[{number}]",
        inputs=name_arrays(inputs),
        labels=name_arrays(labels),
        outputs=tuple(map(int, labels)) if numbered else (),
    )


def iterate_samples(inputs: list[Member], labels: list[Member], groups: list[Member]) -> Iterator[Sample]:
    input_rows, label_rows, group_rows = (
        [iterate_rows(member) for member in members] for members in (inputs, labels, groups)
    )
    for arrays in zip(*input_rows, strict=True):
        label, group = (OutputLabels(unwrap_scalar(next(each)) for each in rows) for rows in (label_rows, group_rows))
        yield Sample(arrays, label if len(label) > 1 else unwrap_one(label), unwrap_one(group))


def unwrap_one(values: tuple[object, ...]) -> object:
    return values[0] if values else None


def unwrap_scalar(label: Array) -> object:
    return label.item() if label.ndim == 0 else label


def iterate_rows(member: Member) -> Iterator[Array]:
    """One array for each sample. CrossquantError for an array that is damaged or isn't data."""
    header = check_header(member)
    if header.fortran and len(header.shape) > 1:
        yield from read_fortran(member, header)
        return
    size = int(np.prod(header.shape[1:])) * header.dtype.itemsize
    with open_member(member) as file:
        read_header(file, member.name)
        step = max(1, BLOCK // max(1, size))
        for start in range(0, header.shape[0], step):
            count = min(step, header.shape[0] - start)
            yield from to_native(read_exactly(file, count * size), header.dtype).reshape(count, *header.shape[1:])
        file.read(1)  # at its end, the checksum of a member of an archive is compared


@contextmanager
def open_member(member: Member) -> Iterator[IO[bytes]]:
    """The open member; CrossquantError in one line for what opening or reading it raises."""
    name = printable_name(member.name)
    try:
        file = member.open()
    except READ_ERRORS as error:
        raise CrossquantError(f"{name} can't be read: {printable_name(error)}") from None
    try:
        yield file
    except READ_ERRORS as error:
        raise CrossquantError(f"{name} is damaged: {printable_name(error)}: save it again") from None
    finally:
        file.close()


def read_exactly(file: IO[bytes], size: int) -> bytes:
    """EOFError where there are fewer than `size` bytes."""
    content = file.read(size)
    if len(content) != size:
        raise EOFError("it ends too early")
    return content


def to_native(content: bytes, dtype: np.dtype) -> Array:
    """(n,) of this type, in the byte order of this host."""
    return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)


def read_fortran(member: Member, header: Header) -> Iterator[Array]:
    """The rows of an array in Fortran order, which is read whole. CrossquantError where it is too large for that."""
    if member.size > LARGEST_FORTRAN:
        raise CrossquantError(f"{printable_name(member.name)} is in Fortran order: save it with np.ascontiguousarray")
    with open_member(member) as file:
        read_header(file, member.name)
        content = read_exactly(file, int(np.prod(header.shape)) * header.dtype.itemsize)
    yield from np.ascontiguousarray(to_native(content, header.dtype).reshape(header.shape, order="F"))


def check_header(member: Member) -> Header:
    """Shape and type of the array. CrossquantError where it isn't data, or isn't as long as its file."""
    with open_member(member) as file:
        header = read_header(file, member.name)
        size = file.tell() + int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize
    name, description = printable_name(member.name), f"{header.dtype} {header.shape}"
    if not header.shape:
        raise CrossquantError(f"{name} is a single value: its first axis must be the samples")
    if size != member.size:
        raise CrossquantError(
            f"{name} declares {description}, {size} bytes, and has {member.size}: "
            "it is cut short or damaged; save it again"
        )
    if any(length < 0 for length in header.shape) or not (header.dtype.itemsize and all(header.shape[1:])):
        # A file of no bytes can declare any number of such samples.
        raise CrossquantError(f"{name} is empty: {description} holds no value")
    return header


def read_header(file: IO[bytes], name: str) -> Header:
    """The header of the open array `name`, parsed as a literal: nothing in it is run.

    ValueError where the file isn't in NumPy's format; CrossquantError where the header is invalid, or not of data.
    """
    version = np.lib.format.read_magic(file)
    if version not in LENGTH_BYTES:
        raise ValueError(f"version {version} of the format")
    header = parse_header(read_raw_header(file, LENGTH_BYTES[version], name), version, name)
    if header.dtype.hasobject:
        raise CrossquantError(
            f"{printable_name(name)} holds Python objects (a pickle), which could run code: they are never loaded; "
            "save numbers, with one dtype and one shape"
        )
    if header.dtype.kind not in DATA_KINDS:
        raise CrossquantError(f"{printable_name(name)} is of type {header.dtype}: it must be of numbers")
    return header


def read_raw_header(file: IO[bytes], length_bytes: int, name: str) -> bytes:
    """The bytes of the header, with the `length_bytes` before them that hold its length."""
    prefix = read_exactly(file, length_bytes)
    length = int.from_bytes(prefix, "little")
    if length > LONGEST_HEADER:
        raise CrossquantError(
            f"{printable_name(name)} has a header of {length} bytes, {LONGEST_HEADER} at most: save it again"
        )
    return prefix + read_exactly(file, length)


def parse_header(content: bytes, version: tuple[int, int], name: str) -> Header:
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return Header(*parse(io.BytesIO(content)))
    except Exception:  # noqa: BLE001 - Python's parser raises TokenError, MemoryError, RecursionError, …
        raise CrossquantError(
            f"{printable_name(name)} has no valid .npy header: save it again with numpy.save"
        ) from None
