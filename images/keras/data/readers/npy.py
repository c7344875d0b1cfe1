"""One array in NumPy's format, read as a stream: never unpickled, and no further than its file is long."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from images.keras.data.sample_sets import shown
from shared.data.samples import Array
from shared.errors import CrossquantError

BLOCK = 1 << 22  # bytes
FORTRAN = 1 << 28  # bytes; in Fortran's order an array must be read whole
LONGEST = 10_000  # bytes of a header; those of data have a hundred
SIZES = {(1, 0): 2, (2, 0): 4}  # bytes that say how long the header is, by the format's version
KINDS = "biufU"  # NumPy's letters for what is data: never objects
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One array: `size` is what its file says that it unpacks to."""

    name: str
    open: Callable[[], IO[bytes]]
    size: int


@dataclass(frozen=True)
class Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


def rows(member: Member) -> Iterator[Array]:
    """One array a sample."""
    found = header(member)
    if found.fortran and len(found.shape) > 1:
        yield from whole(member, found)
        return
    size = int(np.prod(found.shape[1:])) * found.dtype.itemsize
    with explained(member) as file:
        read_header(file, member.name)
        step = max(1, BLOCK // max(1, size))
        for start in range(0, found.shape[0], step):
            count = min(step, found.shape[0] - start)
            yield from native(exactly(file, count * size), found.dtype).reshape(count, *found.shape[1:])
        file.read(1)  # at its end, the checksum of a member of an archive is compared


class explained:  # noqa: N801 - reads as a verb in a with statement
    """The open member; what reading it raises becomes one line."""

    def __init__(self, member: Member) -> None:
        self.member = member

    def __enter__(self) -> IO[bytes]:
        try:
            self.file = self.member.open()
        except BROKEN as error:
            raise CrossquantError(f"{shown(self.member.name)} can't be read: {shown(error)}") from None
        return self.file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.file.close()
        if isinstance(error, BROKEN):
            raise CrossquantError(f"{shown(self.member.name)} is damaged: {shown(error)}: save it again") from None


def exactly(file: IO[bytes], size: int) -> bytes:
    raw = file.read(size)
    if len(raw) != size:
        raise EOFError("it ends too early")
    return raw


def native(raw: bytes, dtype: np.dtype) -> Array:
    return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=False)


def whole(member: Member, found: Header) -> Iterator[Array]:
    if member.size > FORTRAN:
        raise CrossquantError(f"{shown(member.name)} is in Fortran's order: save it with np.ascontiguousarray")
    with explained(member) as file:
        read_header(file, member.name)
        raw = exactly(file, int(np.prod(found.shape)) * found.dtype.itemsize)
    yield from np.ascontiguousarray(native(raw, found.dtype).reshape(found.shape, order="F"))


def header(member: Member) -> Header:
    """Shape and type, once it is sure that they are data and of the size that the file has."""
    with explained(member) as file:
        found = read_header(file, member.name)
        size = file.tell() + int(np.prod(found.shape, dtype=object)) * found.dtype.itemsize
    if not found.shape:
        raise CrossquantError(f"{shown(member.name)} is a single value: its first axis must be the samples")
    if size != member.size:
        raise CrossquantError(
            f"{shown(member.name)} declares {found.dtype} {found.shape}, {size} bytes, and has {member.size}: "
            "it is cut short or damaged; save it again"
        )
    wrong = any(length < 0 for length in found.shape) or not (found.dtype.itemsize and all(found.shape[1:]))
    if wrong:  # as many samples as one likes, in no byte
        raise CrossquantError(f"{shown(member.name)} is empty: {found.dtype} {found.shape} holds no value")
    return found


def read_header(file: IO[bytes], name: str) -> Header:
    """ValueError where it is no `.npy`. Headers are read as literals: nothing in them is ever run."""
    version = np.lib.format.read_magic(file)
    if version not in SIZES:
        raise ValueError(f"version {version} of the format")
    header = parse_header(raw_header(file, SIZES[version], name), version, name)
    if header.dtype.hasobject:
        raise CrossquantError(
            f"{shown(name)} holds Python objects (a pickle), which could run code: they are never loaded; "
            "save numbers, with one dtype and one shape"
        )
    if header.dtype.kind not in KINDS:
        raise CrossquantError(f"{shown(name)} is of type {header.dtype}: it must be of numbers")
    return header


def raw_header(file: IO[bytes], size: int, name: str) -> bytes:
    """The header with the `size` bytes that say how long it is."""
    told = exactly(file, size)
    length = int.from_bytes(told, "little")
    if length > LONGEST:
        raise CrossquantError(f"{shown(name)} has a header of {length} bytes, {LONGEST} at most: save it again")
    return told + exactly(file, length)


def parse_header(raw: bytes, version: tuple[int, int], name: str) -> Header:
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        return Header(*reader(io.BytesIO(raw)))
    except Exception:  # noqa: BLE001 - Python's parser passes on what it comes upon: TokenError, MemoryError, …
        raise CrossquantError(f"{shown(name)} has no valid .npy header: save it again with numpy.save") from None
