"""The folder `comparison/` of a run: its files and a manifest of them, put into place whole and checked when read.

Whenever a writer is killed, a reader finds the old files, the new ones, or no comparison; never some of each:

1. Under a lock, the writer fills a temporary folder beside `comparison/`, the manifest last.
2. It swaps the two in one system call. Where the file system has none, `comparison/` becomes `.comparison.previous`
   and the temporary folder takes its place: who is killed in between leaves no `comparison/`, and the next command
   moves the previous one back.
3. It removes what it has swapped out. What a killed writer left is removed by the next one, under the lock.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from driver.analysis.results import Comparison
from shared.artifacts import store
from shared.artifacts.exchange import exchange
from shared.command import format_command
from shared.contract import SCHEMA, File, decode, encode, loads, shown
from shared.errors import CrossquantError, FieldError

NAME = "comparison"
JSON = "comparison.json"
FILES = (JSON, "comparison.html", "comparison.md", "comparison.csv", "changed.csv")
MANIFEST = "manifest.json"
ATTEMPTS = 10  # a folder that is replaced while it is read is read again


@dataclass(frozen=True)
class FileManifest:
    """`manifest.json`: what the files of a comparison are."""

    schema: Literal[1]
    files: dict[str, File]


class DamagedComparison(CrossquantError):
    """A file of the comparison is not what was written with it; `finding` says which one, and what is wrong."""

    def __init__(self, folder: Path, name: str, problem: str) -> None:
        super().__init__(f"{folder / name} {problem}: {describe_remedy(folder)}")
        self.finding = f"{name} {problem}"


class OtherVersion(CrossquantError):
    """The comparison is whole, but has the fields of another version of crossquant."""


def describe_remedy(folder: Path) -> str:
    """How to make the comparison in `folder` anew: the folder above it is called as its experiment."""
    return f"make this comparison anew with `{format_command('report', folder.parent.name)}`"


def locate(experiment: str) -> Path:
    return store.volumes() / experiment / NAME


def read_comparison(folder: Path, *, earlier: bool = False) -> Comparison | None:
    """The comparison in `folder`, every file of it checked; None where there is none.

    With `earlier`, one of an earlier schema is converted. DamagedComparison where a file is not what the manifest says;
    OtherVersion where this code can't read it.
    """
    files = read_files(folder)
    if files is None:
        return None
    try:
        data = loads(files[JSON])
        if earlier and isinstance(data, dict):
            data = convert_earlier(data)
        comparison: Comparison = decode(Comparison, data)
    except ValueError as error:
        raise DamagedComparison(folder, JSON, f"can't be read ({error})") from None
    except FieldError as error:
        raise OtherVersion(
            f"{folder / JSON} was written by another version of crossquant ({error}): {describe_remedy(folder)}"
        ) from None
    return shown(comparison, sys.maxsize)


def convert_earlier(data: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a comparison that an earlier version wrote, in the form of this one."""
    from driver.comparison import schema1, schema2  # noqa: PLC0415 - NumPy: a run with nothing to do needs none

    if data.get("schema") == schema1.SCHEMA:
        data = schema1.convert_to_schema2(data)
    return schema2.convert_to_schema3(data) if data.get("schema") == schema2.SCHEMA else data


def read_files(folder: Path) -> dict[str, bytes] | None:
    """The content of all FILES, just as it was checked; None where there is no comparison.

    All are read from one opened folder: one that takes its place meanwhile is never mixed in.
    """
    for _ in range(ATTEMPTS):
        heal(folder)
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except NotADirectoryError:
            return None
        except FileNotFoundError:
            if not previous(folder).exists() and not folder.exists():  # in this order: a swap may be ending
                return None
            continue
        try:
            contents = check_files(folder, opened)
            if contents is not None or is_open_folder(folder, opened):
                return contents
        except DamagedComparison:
            if is_open_folder(folder, opened):
                raise
        finally:
            os.close(opened)
    raise CrossquantError(f"{folder} is replaced all the time: wait for the other command")


def check_files(folder: Path, opened: int) -> dict[str, bytes] | None:
    """The content of all FILES in the folder that is `opened`. DamagedComparison names the first that is wrong."""
    if not {MANIFEST, *FILES} & set(os.listdir(opened)):
        return None
    manifest = parse_manifest(folder, read_file(folder, opened, MANIFEST))
    contents = {}
    for name in FILES:
        contents[name] = content = read_file(folder, opened, name)
        if manifest.files[name] != describe(content):
            raise DamagedComparison(folder, name, "changed after it was written")
    return contents


def parse_manifest(folder: Path, content: bytes) -> FileManifest:
    try:
        manifest: FileManifest = decode(FileManifest, loads(content))
    except (FieldError, ValueError) as error:
        raise DamagedComparison(folder, MANIFEST, f"can't be read ({error})") from None
    if set(manifest.files) != set(FILES):
        raise DamagedComparison(folder, MANIFEST, "names other files than a comparison has")
    return manifest


def read_file(folder: Path, opened: int, name: str) -> bytes:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=opened)  # a pipe would block
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise DamagedComparison(folder, name, "is no file")
            return stream.read()
    except FileNotFoundError:
        raise DamagedComparison(folder, name, "is missing") from None
    except OSError as error:
        raise DamagedComparison(folder, name, f"can't be read ({error.strerror})") from None


def describe(content: bytes) -> File:
    return File(hashlib.sha256(content).hexdigest(), len(content))


def is_open_folder(folder: Path, opened: int) -> bool:
    """Is the folder that is `opened` still the one at this path?"""
    try:
        now = folder.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(now, os.fstat(opened))


def publish(folder: Path, files: Mapping[str, str]) -> None:
    """Put all FILES and their manifest in the place of `folder`, whole; whatever else was in it goes."""
    with locked(folder):
        restore(folder)
        clean(folder)
        temporary = spare(folder)
        try:
            fill(temporary, files)
            swap(temporary, folder)
        finally:
            restore(folder)
            remove(temporary)


def fill(temporary: Path, files: Mapping[str, str]) -> None:
    temporary.mkdir()
    contents = {name: files[name].encode() for name in FILES}
    for name, content in contents.items():
        write(temporary / name, content)
    manifest = FileManifest(SCHEMA, {name: describe(content) for name, content in contents.items()})
    write(temporary / MANIFEST, encode(manifest).encode())


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def swap(temporary: Path, folder: Path) -> None:
    """`temporary` in the place of `folder`; what was there is then in `temporary`."""
    if not os.path.lexists(folder):
        temporary.rename(folder)
    elif not exchange(temporary, folder):
        folder.rename(previous(folder))
        temporary.rename(folder)
        previous(folder).rename(temporary)


def previous(folder: Path) -> Path:
    """Where the old folder is for a moment, on a file system that can't swap."""
    return folder.with_name(f".{folder.name}.previous")


def spare(folder: Path) -> Path:
    """A name for a temporary folder, which no other process has."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.partial")


def heal(folder: Path) -> None:
    """Undo half a swap: bring the previous folder back where a writer was killed between its two renames."""
    if not os.path.lexists(folder) and previous(folder).exists():
        with locked(folder):
            restore(folder)


def restore(folder: Path) -> None:
    """As `heal`, for who holds the lock."""
    if not os.path.lexists(folder) and previous(folder).exists():
        previous(folder).rename(folder)


def clean(folder: Path) -> None:
    """Remove what killed writers left; for who holds the lock."""
    if previous(folder).exists():
        previous(folder).rename(spare(folder))  # half removed, it must not be brought back
    for path in list(folder.parent.glob(f".{folder.name}.*.partial")):
        remove(path)


def remove(path: Path) -> None:
    """As far as the rights go: a rest that another user owns is in nobody's way."""
    if path.is_symlink() or path.is_file():
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Held for the moment in which the folder is replaced; who comes second waits."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Opened to be read, which is enough for a lock: the file may be another user's, of `docker compose` say.
    file = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
