"""Runs a part of a stage in its own process, so that what it reads and the model's code never share a memory."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.errors import CrossquantError, StageError, Unsupported
from shared.host_paths import on_host
from shared.runner import sandbox
from shared.text import first_line


def run_in_fork(work: Callable[[], None], hidden: Sequence[Path] = ()) -> None:
    """Run `work` in a fork, with the folders `hidden` out of its reach, and wait for its end.

    What it makes it leaves in files. CrossquantError, or Unsupported, with the words of the one that it raised;
    StageError for any other end. To be called while this process has a single thread.
    """
    readable, writable = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(readable)
        _work(work, hidden, writable)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        said = pipe.read()
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        raise StageError(describe_signal(os.WTERMSIG(ended)))
    if said or os.WEXITSTATUS(ended):
        kind, reason = _parse(said)
        raise kind(reason or f"ended by itself with exit code {os.WEXITSTATUS(ended)}")


def signal_name(number: int) -> str:
    """Also of those that have none: real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe_signal(number: int) -> str:
    """One line for what ended a process."""
    name = signal_name(number)
    return f"killed by {name}" + (" (out of memory? raise limits.memory)" if name == "SIGKILL" else "")


def describe(error: BaseException, log: Path | None = None) -> str:
    """One line for an exception that no stage foresaw; `log` has its traceback."""
    if isinstance(error, MemoryError):
        return "out of memory: raise limits.memory"
    kind, message = type(error).__name__, first_line(error)
    first = (kind if message == kind else f"{kind}: {message}")[:300]
    return f"{first} (see {on_host(log)})" if log else first


def _work(work: Callable[[], None], hidden: Sequence[Path], pipe: int) -> None:
    """The fork's whole life; it ends here, whatever happens."""
    said: tuple[str, str] | None = ("failed", "it ended without a word")
    try:
        for folder in hidden:
            sandbox.hide(folder)
        work()
        said = None
    except Unsupported as error:
        said = ("unsupported", str(error))
    except CrossquantError as error:
        said = ("failed", str(error))
    except BaseException as error:  # noqa: BLE001 - the process boundary, as in shared/runner/process.py
        traceback.print_exc()
        said = ("failed", describe(error))
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            if said:
                os.write(pipe, json.dumps(said).encode())
        finally:
            os._exit(1 if said else 0)


def _parse(said: bytes) -> tuple[type[CrossquantError], str]:
    """Parse the fork's message about its end, which code in the model may have written."""
    try:
        status, reason = json.loads(said)
        return (Unsupported if status == "unsupported" else StageError), str(reason)
    except (ValueError, TypeError, RecursionError):
        return StageError, ""
