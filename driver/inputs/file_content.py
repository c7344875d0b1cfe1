"""What a file is by its content, as far as a few bytes say it: whether it is the wrong thing, or provably whole."""

import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

HEAD = 4096  # bytes
MOST_UNPACKED = 8 << 30  # bytes of an archive that are unpacked to check it
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
WEB_PAGE = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml.*?\?>)*<(?:!doctype\s+html|html|head|body|title|meta|script|h1|error)\b",
    re.IGNORECASE | re.DOTALL,
)
HDF5 = b"\x89HDF\r\n\x1a\n"
PARQUET = b"PAR1"
UNDEFINED = 0xFF  # every byte of an address that HDF5 leaves open


def find_wrong_kind(path: Path) -> str:
    """What `path` has in the place of a model or data: a web page, a Git LFS pointer, nothing; "" if none of these."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return "an empty file"
    if head.startswith(LFS_POINTER):
        return "a Git LFS pointer"
    return "a web page" if WEB_PAGE.match(plain(head)) else ""


def plain(head: bytes) -> bytes:
    """Without a byte order mark, and in one byte a letter."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            return head[2:].decode(encoding, "replace").encode()
    return head.removeprefix(b"\xef\xbb\xbf")


def is_whole(path: Path) -> bool:
    """Does the file itself prove that no part of it is missing? A format that has no such proof gives False."""
    with path.open("rb") as file:
        head = file.read(len(HDF5))
        if head.startswith(b"PK"):
            return is_whole_zip(path)
        if head == HDF5:
            return is_whole_hdf5(file, path.stat().st_size)
        if head.startswith(PARQUET):
            file.seek(max(len(PARQUET), path.stat().st_size - len(PARQUET)))
            return file.read() == PARQUET
    return False


def is_whole_zip(path: Path) -> bool:
    """A `.keras` or `.npz` file: has it its directory, and has each member its checksum?"""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            return unpacked <= MOST_UNPACKED and archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        return False


def is_whole_hdf5(file: BinaryIO, size: int) -> bool:
    """Does the file end where its superblock (HDF5 File Format Specification, II.A) says that it ends?"""
    file.seek(0)
    block = file.read(64)
    if len(block) < 64:
        return False
    version = block[8]
    width, start = (block[13], 24 + 4 * (version == 1)) if version < 2 else (block[9], 12)
    end = block[start + 2 * width : start + 3 * width]
    return width in (4, 8) and set(end) != {UNDEFINED} and int.from_bytes(end, "little") == size
