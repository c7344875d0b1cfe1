"""Artifacts on the volume: hashed, described by a manifest, and verified before they are used."""

import hashlib
import math
import mmap
import os
import re
import secrets
import shutil
import stat
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shared.command import format_command
from shared.contract import Failure, File, Manifest, Plan, encode, read
from shared.errors import CrossquantError
from shared.host_paths import on_host
from shared.text import printable

MANIFEST = "artifact.json"
ROOT = Path(__file__).resolve().parents[2]
BLOCK = 1 << 20  # bytes
DEEPEST = 32  # folders below an artifact's own
LEAST_FREE = 1 << 18  # bytes; with fewer, what failed failed for want of space


def volumes() -> Path:
    """The folder that all containers share: `volumes/` of the checkout, or $CROSSQUANT_VOLUMES."""
    return Path(os.environ.get("CROSSQUANT_VOLUMES") or ROOT / "volumes").absolute()


def plan_path(experiment: str) -> Path:
    return volumes() / experiment / "plan.json"


def read_plan(experiment: str) -> Plan:
    """The plan that the driver wrote. CrossquantError where there is none yet, or it is damaged."""
    path = plan_path(experiment)
    if not path.exists():
        raise CrossquantError(f"{on_host(path)} is missing: run `{format_command('fetch', experiment)}` first")
    return read(Plan, path)


def artifact_path(plan: Plan, name: str) -> Path:
    return volumes() / plan.locations[name]


def failure_path(plan: Plan, name: str) -> Path:
    return beside(plan, name, "failures", ".json")


def log_path(plan: Plan, name: str) -> Path:
    return beside(plan, name, "logs", ".log")


def beside(plan: Plan, name: str, folder: str, suffix: str) -> Path:
    return artifact_path(plan, name).parent / folder / (name + suffix)


def file_sha256(path: Path, deadline: float = math.inf) -> str:
    """The hash of a file's content. TimeoutError where it is not ready at `deadline`, by time.monotonic().

    It is read into memory that is given back at once: a runner hashes labels, and its forks, which run the model,
    have what its memory holds. Private memory: shared memory is a file, which takes longer to make.
    """
    digest = hashlib.sha256()
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with path.open("rb", buffering=0) as file, mmap.mmap(-1, BLOCK, private) as block:
        while count := file.readinto(block):
            with memoryview(block) as view, view[:count] as read_now:
                digest.update(read_now)
            if time.monotonic() > deadline:
                raise TimeoutError
    return digest.hexdigest()


def list_files(folder: Path, deadline: float = math.inf) -> dict[str, File]:
    """Every file below `folder` except the manifest, by its relative path.

    CrossquantError for what is no plain file: a link would have its target read in its place. TimeoutError where they
    are not all hashed at `deadline`, by time.monotonic(): a file with holes may be longer than the disk.
    """
    files = {}
    for name in sorted(_walk(folder), key=lambda name: name.split("/")):
        if name != MANIFEST:
            path = folder / name
            files[name] = File(file_sha256(path, deadline), path.stat().st_size)
    return files


def restore_access(folder: Path) -> None:
    """Give the owner back what a stage took from `folder`, from what lies in it and from its logs.

    Landlock lets a stage change the mode of any file that its user owns, and it runs as its runner does.
    """
    for place in (folder, folder / "logs"):
        with suppress(OSError):
            _make_accessible(place)
            for path in place.iterdir():
                _make_accessible(path)


def _make_accessible(path: Path) -> None:
    mode = path.lstat().st_mode
    wanted = stat.S_IRWXU if stat.S_ISDIR(mode) else stat.S_IRUSR | stat.S_IWUSR
    if not stat.S_ISLNK(mode) and mode & wanted != wanted:
        path.chmod(stat.S_IMODE(mode) | wanted)


def _walk(folder: Path) -> Iterator[str]:
    """The names of the files below `folder`, each checked to be one."""
    waiting = [("", 0)]
    while waiting:
        place, depth = waiting.pop()
        if depth > DEEPEST:
            raise CrossquantError(f"folders are nested more than {DEEPEST} deep: no artifact has such")
        with os.scandir(folder / place) as entries:
            for entry in entries:
                name = f"{place}{entry.name}"
                if not name.isprintable() and any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
                    raise CrossquantError(f"{printable(name)}: a file's name must have no control characters")
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(about.st_mode):
                    waiting.append((f"{name}/", depth + 1))
                elif not stat.S_ISREG(about.st_mode):
                    raise CrossquantError(f"{name} is a link or a device: an artifact must hold plain files")
                else:
                    yield name


def digest(manifest: Manifest) -> str:
    """Return what a later stage records of this artifact: a hash of its content, not of when or where it was made."""
    lines = [f"{manifest.status} {manifest.reason}"]
    lines += [f"{name} {file.sha256}" for name, file in sorted(manifest.files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def build_command(image: str) -> str:
    """Return the Compose file that builds the image: an optional image has its own."""
    own = f"images/{image}/compose.yaml"
    more = f" -f compose.yaml -f {own}" if (ROOT / own).exists() else ""
    return f"docker compose{more} build {image}"


def tree_hash(*folders: str) -> str:
    """One hash of the names and contents of all files below these folders of the checkout."""
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(ROOT).as_posix()} {file_sha256(path)}\n".encode())
    return total.hexdigest()


class Damaged(CrossquantError):
    """An artifact differs from its manifest: changed by hand, emptied by a power cut, or hit by a bad disk."""


def read_verified_manifest(path: Path, name: str) -> Manifest | None:
    """The manifest of a finished artifact, its files hashed again; None where there is none.

    Damaged where the manifest can't be read or a file differs from it: a trusted manifest would show an old
    result as new.
    """
    if not (path / MANIFEST).exists():
        return None
    try:
        files = list_files(path)
        manifest = read(Manifest, path / MANIFEST)
    except (CrossquantError, OSError) as error:
        raise Damaged(f"artifact '{name}' in {on_host(path)} is damaged ({error})") from None
    if files != manifest.files:
        raise Damaged(
            f"artifact '{name}' in {on_host(path)} changed after it was published: run again, which makes it anew"
        )
    return manifest


Identity = tuple[int, ...]


def identity(path: Path) -> Identity | None:
    """Return what distinguishes an artifact's folder from one that replaces it; None if there is no artifact."""
    try:
        folder, manifest = path.stat(), (path / MANIFEST).stat()
    except OSError:
        return None
    return folder.st_dev, folder.st_ino, manifest.st_ino, manifest.st_mtime_ns, manifest.st_size


@contextmanager
def temporary(final: Path) -> Iterator[Path]:
    """An empty folder beside `final`; gone afterwards unless `publish` has moved it into place.

    Its name is random: two containers number their processes alike.
    """
    folder = _partial(final)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def publish(folder: Path, final: Path, manifest: Manifest) -> None:
    """Manifest `folder` and put it in the place of `final`, in one rename."""
    write_atomically(folder / MANIFEST, encode(manifest))
    remove(final)
    folder.rename(final)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists, even if a stage left it unreadable or nested too deep for `rmtree`."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    with suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        subprocess.run(["chmod", "-R", "u+rwx", path], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", path], check=False, capture_output=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _partial(final: Path) -> Path:
    return final.with_name(f".{final.name}.{secrets.token_hex(8)}.partial")


def record_failure(plan: Plan, failure: Failure) -> None:
    write_atomically(failure_path(plan, failure.name), encode(failure))


def remove_partials(final: Path) -> None:
    """Remove what a killed process left of `final`; for who holds its lock, since others may be writing else."""
    mine = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]+\.partial")
    if final.parent.is_dir():
        for path in [each for each in final.parent.iterdir() if mine.fullmatch(each.name)]:
            remove(path)


def is_full(folder: Path) -> bool:
    """Return whether the disk that holds `folder` has less than LEAST_FREE bytes."""
    return shutil.disk_usage(folder).free < LEAST_FREE


def parameters(path: Path) -> dict[str, Any]:
    """Return the parameters that the artifact in `path` was made with."""
    return read(Manifest, path / MANIFEST).parameters
