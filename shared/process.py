"""One stage in one fork: its output goes to its log, its outcome comes back through a pipe."""

import importlib
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from shared import progress, store
from shared.contract import SCHEMA, Plan, Seal, Status, Step
from shared.errors import DISK_FULL, CrossquantError, Unsupported

STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Outcome:
    status: Status
    reason: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def sealable(self) -> bool:
        return self.status in ("ok", "unsupported")

    @property
    def failure_status(self) -> Literal["failed", "skipped"]:
        return "skipped" if self.status == "skipped" else "failed"


def preload(plan: Plan, steps: Sequence[Step]) -> None:
    """Import the modules of `steps`, and with them the framework. A module that can't be imported fails in its fork."""
    log = store.log_path(plan, steps[0].output).with_name("import.log")
    with _output_to(log):
        for name in {f"images.{step.image}.{step.run}" for step in steps}:
            try:
                importlib.import_module(name)
            except Exception:
                traceback.print_exc()


def run(plan: Plan, step: Step, digests: dict[str, str], folder: Path) -> Outcome:
    """Run `step` in a fork, its result written below `folder`; never raises for what the stage does."""
    started = time.monotonic()
    readable, writable = os.pipe()
    child = 0
    try:
        with _held_back():
            child = os.fork()
            if child == 0:
                os.close(readable)
                _child(plan, step, digests, folder, writable)
            os.setpgid(child, child)  # with whatever the stage starts, so that all of it can be ended
            os.close(writable)
        reply, in_time = _receive(readable, started + plan.stage_seconds)
    except BaseException:
        if child:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    finally:
        os.close(readable)
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    _, ended, usage = os.wait4(child, 0)
    status, reason = _explain(plan, step, reply, in_time, ended)
    if status == "failed" and store.is_full(folder):
        reason = DISK_FULL  # each framework says it in another way, some by dying
    return Outcome(status, reason, time.monotonic() - started, usage.ru_maxrss * 1024)


def seal(plan: Plan, step: Step, digests: dict[str, str], outcome: Outcome, folder: Path) -> Seal:
    if outcome.status == "unsupported":
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Seal(
        schema=SCHEMA,
        name=step.output,
        status="unsupported" if outcome.status == "unsupported" else "ok",
        reason=outcome.reason,
        files=store.list_files(folder),
        inputs=digests,
        code=plan.code[step.image],
        parameters=step.parameters,
        versions={item.metadata["Name"]: item.version for item in metadata.distributions()},
        image_id=os.environ.get("CROSSQUANT_IMAGE_ID", ""),
        seconds=round(outcome.seconds, 3),
        peak_bytes=outcome.peak_bytes,
    )


def _child(plan: Plan, step: Step, digests: dict[str, str], folder: Path, pipe: int) -> None:
    """The fork's whole life; it ends here, whatever happens."""
    status, reason = "failed", "the stage ended without a word"
    try:
        os.setpgid(0, 0)
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        progress.connect(os.dup(1), step.output)
        with _output_to(store.log_path(plan, step.output)):
            status, reason = _call(plan, step, digests, folder)
    finally:
        try:
            os.write(pipe, json.dumps([status, reason]).encode())
        finally:  # whoever should have read it may be dead
            os._exit(0)


def _call(plan: Plan, step: Step, digests: dict[str, str], folder: Path) -> tuple[str, str]:
    try:
        module = importlib.import_module(f"images.{step.image}.{step.run}")
        paths: list[Any] = [store.artifact_path(plan, name) for name in step.inputs]
        if step.optional:
            there = [name for name in step.optional if digests[name]]
            paths.append({name: store.artifact_path(plan, name) for name in there})
        module.run(*paths, folder, **step.parameters)
    except Unsupported as error:
        return "unsupported", str(error)
    except CrossquantError as error:
        return "failed", str(error)
    except BaseException as error:  # the process boundary: what a framework raises becomes the row's reason
        traceback.print_exc()
        return "failed", describe(error, store.log_path(plan, step.output))
    return "ok", ""


def describe(error: BaseException, log: Path) -> str:
    """One line for an exception that no stage foresaw."""
    if isinstance(error, MemoryError):
        return "out of memory: raise limits.memory"
    first = [type(error).__name__, *str(error).strip().splitlines()[:1]]
    return f"{': '.join(first)[:300]} (see {log})"


@contextmanager
def _held_back() -> Iterator[None]:
    """Let a signal to stop take effect at the end of the block: what a handler raises while Python forks is lost.

    By handlers, not by a mask: a mask is one thread's, and frameworks have others, which take the signal.
    """
    caught: list[int] = []
    handlers = {number: signal.signal(number, lambda got, _: caught.append(got)) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt


def _receive(pipe: int, deadline: float) -> tuple[bytes, bool]:
    """All that the fork writes, and whether it ended before `deadline`."""
    received = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return received, False
        block = os.read(pipe, 65536)
        if not block:
            return received, True
        received += block


def _explain(plan: Plan, step: Step, reply: bytes, in_time: bool, ended: int) -> tuple[Status, str]:
    if not in_time:
        limit = plan.stage_seconds
        return "failed", f"not ready after {limit} s: raise limits.stage_seconds"
    log = store.log_path(plan, step.output)
    if os.WIFSIGNALED(ended):
        name = signal.Signals(os.WTERMSIG(ended)).name
        hint = " (out of memory? raise limits.memory)" if name == "SIGKILL" else ""
        return "failed", f"killed by {name}{hint}; see {log}"
    if not reply:
        return "failed", f"ended by itself with exit code {os.WEXITSTATUS(ended)}; see {log}"
    status, reason = json.loads(reply)
    return status, reason


class _output_to:  # noqa: N801 - reads as a verb in a with statement
    """Send this process's stdout and stderr, down to the file descriptors, to a log file."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __enter__(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        self.saved = os.dup(1), os.dup(2)
        target = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in enumerate(self.saved, start=1):
            os.dup2(saved, number)
            os.close(saved)
