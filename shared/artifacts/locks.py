"""Locks on artifacts: whoever makes one holds its lock, whoever reads one shares it, however either was started.

The driver, `docker compose up` and a runner that was started by hand may work on one volume at a time. A lock is
flock(2) on a file in `.locks/` beside the artifact; the kernel releases it when the holder ends, however it ends.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import CrossquantError, StageError
from shared.host_paths import on_host
from shared.text import printable

FOLDER = ".locks"
HOLDER = "CROSSQUANT_HOLDER"  # environment variable: who works here, for other processes to read
INTERVAL = 0.1  # seconds between two tries

Waiting = Callable[[str], None]


def path(artifact: Path) -> Path:
    """The lock file of the artifact in the folder `artifact`."""
    return artifact.parent / FOLDER / f"{artifact.name}.lock"


@contextmanager
def exclusive(artifact: Path, waiting: Waiting, seconds: float) -> Iterator[None]:
    """Hold the lock of `artifact` to replace it. `waiting` hears once who holds it.

    StageError where it is not to be had within `seconds`.
    """
    place = path(artifact)
    place.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(file, fcntl.LOCK_EX, artifact.name, waiting, seconds)
        with suppress(OSError):  # a full disk: the lock holds without a name
            _write_holder(file)
        yield
    finally:
        _release(file)


@contextmanager
def shared(artifact: Path, waiting: Waiting, seconds: float) -> Iterator[None]:
    """Keep others from replacing `artifact` while it is read. Without effect where nobody has ever locked it."""
    try:
        file = os.open(path(artifact), os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        _acquire(file, fcntl.LOCK_SH, artifact.name, waiting, seconds)
        yield
    finally:
        _release(file)


@contextmanager
def unless_held(place: Path) -> Iterator[bool]:
    """True with the lock file `place` held, or False at once where somebody holds it or it isn't there."""
    try:
        file = os.open(place, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield _try(file, fcntl.LOCK_EX)
    finally:
        _release(file)


@contextmanager
def whole_folder(place: Path, folder: Path) -> Iterator[None]:
    """Hold the lock file `place`, which stands for all of `folder`. CrossquantError at once, with who holds it."""
    file = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try(file, fcntl.LOCK_EX):
            raise CrossquantError(f"{on_host(folder)} is in use by {holder(place)}: wait for it, or stop it")
        with suppress(OSError):
            _write_holder(file)
        yield
    finally:
        _release(file)


def holder(place: Path) -> str:
    """Who holds, or last held, the lock file `place`; "another process" where that can't be read."""
    try:
        contents = json.loads(place.read_text())
        return printable(f"{contents['who']} since {contents['since']}", 200)
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def describe_self() -> str:
    """This process, for others to read."""
    return os.environ.get(HOLDER) or f"process {os.getpid()} on {socket.gethostname()}"


def _write_holder(file: int) -> None:
    text = json.dumps({"who": describe_self(), "since": time.strftime("%H:%M:%S")})
    os.ftruncate(file, 0)
    os.pwrite(file, text.encode(), 0)


def _acquire(file: int, kind: int, name: str, waiting: Waiting, seconds: float) -> None:
    if _try(file, kind):
        return
    who = holder(Path(f"/proc/self/fd/{file}"))
    if kind == fcntl.LOCK_EX and _only_read(file):
        who = "a process that reads it"
    waiting(f"'{name}' is in use by {who}: waiting for it")
    deadline = time.monotonic() + seconds
    while not _try(file, kind):
        if time.monotonic() > deadline:
            raise StageError(f"'{name}' is still in use by {who} after {seconds:.0f} s: stop that, and run again")
        time.sleep(INTERVAL)


def _only_read(file: int) -> bool:
    """Do only readers hold the lock?"""
    shared_too = _try(file, fcntl.LOCK_SH)
    if shared_too:
        fcntl.flock(file, fcntl.LOCK_UN)
    return shared_too


def _release(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)  # a copy of the descriptor in another process would keep it
    os.close(file)


def _try(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
