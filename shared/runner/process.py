"""One stage in one fork, confined to what it needs. Its output goes to its log, its outcome through a pipe."""

import ctypes
import importlib
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, File, Manifest, Plan, Status, Step
from shared.errors import DISK_FULL, CrossquantError, Unsupported
from shared.runner import progress, sandbox
from shared.runner.forks import describe, describe_signal
from shared.runner.progress import Lines, Progress, Reply

STOPPING = (signal.SIGINT, signal.SIGTERM)
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
BLOCK = 1 << 16  # bytes

Listener = Callable[[Progress], None]

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Outcome:
    status: Status
    reason: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    files: dict[str, File] = field(default_factory=dict)  # of an output that gets a manifest

    @property
    def gets_manifest(self) -> bool:
        return self.status in ("ok", "unsupported")

    @property
    def failure_status(self) -> Literal["failed", "skipped"]:
        return "skipped" if self.status == "skipped" else "failed"


@dataclass(frozen=True)
class Task:
    """The task of a fork: run `step`, whose inputs have these `digests`, with `folder` for its output and `scratch` for
    temporary files.
    """

    plan: Plan
    step: Step
    digests: dict[str, str]
    folder: Path
    scratch: Path

    @property
    def optional(self) -> list[str]:
        """The optional inputs that are there."""
        return [name for name in self.step.optional if self.digests[name]]

    @property
    def log(self) -> Path:
        return store.log_path(self.plan, self.step.output)

    def path(self, name: str) -> Path:
        return store.artifact_path(self.plan, name)


def preload(plan: Plan, steps: Sequence[Step]) -> None:
    """Import the modules of `steps`, and with them the framework. A module that can't be imported fails in its fork."""
    log = store.log_path(plan, steps[0].output).with_name("import.log")
    with _output_to(log):
        for name in {name for step in steps for name in (*step.modules.values(), step.entry)}:
            try:
                importlib.import_module(name)
            except Exception:
                traceback.print_exc()


def run(plan: Plan, step: Step, digests: dict[str, str], folder: Path, listen: Listener) -> Outcome:
    """Run `step` in a fork, its result written below `folder`; never raises for what the stage does.

    `listen` hears how far the stage is. When this returns, no process of the stage is left.
    """
    started = time.monotonic()
    deadline = started + plan.stage_seconds
    scratch = Path(tempfile.mkdtemp(prefix="stage-"))
    try:
        task = Task(plan, step, digests, folder, scratch)
        status, reason, peak = _supervise(task, deadline, listen)
    finally:
        store.remove(scratch)
        store.restore_access(folder.parent)
        _clear_semaphores()
    files: dict[str, File] = {}
    if status == "ok":
        status, reason, files = _list_output(plan, folder, deadline)
    if status == "failed" and store.is_full(folder):
        reason = DISK_FULL  # each framework says it in another way, some by dying
    return Outcome(status, reason, time.monotonic() - started, peak, files)


def make_manifest(step: Step, digests: dict[str, str], outcome: Outcome, folder: Path) -> Manifest:
    if outcome.status == "unsupported":
        for path in folder.iterdir():
            store.remove(path)
    return Manifest(
        schema=MANIFEST_SCHEMA,
        name=step.output,
        status="unsupported" if outcome.status == "unsupported" else "ok",
        reason=outcome.reason,
        files=outcome.files,
        inputs=digests,
        code=step.code,
        parameters=step.parameters,
        versions={item.metadata["Name"]: item.version for item in metadata.distributions()},
        image_id=os.environ.get("CROSSQUANT_IMAGE_ID", ""),
        seconds=round(outcome.seconds, 3),
        peak_bytes=outcome.peak_bytes,
    )


def _list_output(plan: Plan, folder: Path, deadline: float) -> tuple[Status, str, dict[str, File]]:
    """The output files, hashed once, or why they can't be: links, devices, files that can't be read, a manifest that is
    not the runner's, more than can be hashed before `deadline`.
    """
    if os.path.lexists(folder / store.MANIFEST):
        return "failed", f"its output has a file {store.MANIFEST}, which is the runner's to write", {}
    try:
        return "ok", "", store.list_files(folder, deadline)
    except CrossquantError as error:
        return "failed", str(error), {}
    except TimeoutError:
        return "failed", f"its output is not hashed after {plan.stage_seconds} s: raise limits.stage_seconds", {}
    except OSError as error:
        return "failed", f"its output can't be read: {error.strerror}", {}


# The runner's side


def _supervise(task: Task, deadline: float, listen: Listener) -> tuple[Status, str, int]:
    """Fork, listen until the stage ends or its time is up, and end all that it has started.

    Status, reason, and the largest resident memory in bytes.
    """
    _libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what a stage leaves behind becomes a child of this process
    others = _children()
    readable, writable = os.pipe()
    child = 0
    try:
        with _held_back():
            runner = os.getpid()
            child = os.fork()
            if child == 0:
                _stage(task, writable, runner)
            os.close(writable)
            with suppress(OSError):  # it has done so itself, or is gone
                os.setpgid(child, child)
        reply, in_time = _listen(readable, child, deadline, listen)
        if not in_time:
            _kill(child)
        _, ended, usage = os.wait4(child, 0)
    except BaseException:
        if child:
            _kill(child)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)
        raise
    finally:
        os.close(readable)
        _end_descendants(others)
    status, reason = _explain(task, reply, in_time, ended)
    return status, reason, usage.ru_maxrss * 1024


def _listen(pipe: int, child: int, deadline: float, listen: Listener) -> tuple[Reply | None, bool]:
    """The stage's reply, if it gave one, and whether it ended before `deadline`.

    The end is that of the process: a helper that it left may hold the pipe for ever.
    """
    lines, reply = Lines(), None
    ended = os.pidfd_open(child)
    try:
        watched = [pipe, ended]
        while (left := deadline - time.monotonic()) > 0:
            ready = select.select(watched, [], [], left)[0]
            if pipe in ready:
                block = os.read(pipe, BLOCK)
                if not block:
                    watched = [ended]
                for message in map(progress.parse_message, lines.feed(block)):
                    if isinstance(message, Progress):
                        listen(message)
                    reply = message if isinstance(message, Reply) else reply
            elif ready:
                return reply, True
        return reply, False
    finally:
        os.close(ended)


def _explain(task: Task, reply: Reply | None, in_time: bool, ended: int) -> tuple[Status, str]:
    if not in_time:
        limit = task.plan.stage_seconds
        return "failed", f"not ready after {limit} s: raise limits.stage_seconds"
    if os.WIFSIGNALED(ended):
        return "failed", f"{describe_signal(os.WTERMSIG(ended))}; see {task.log}"
    if reply is None:
        return "failed", f"ended by itself with exit code {os.WEXITSTATUS(ended)}; see {task.log}"
    return reply.status, reply.reason


def _kill(child: int) -> None:
    """End a stage and its process group."""
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            end(child, signal.SIGKILL)


def _end_descendants(others: set[int]) -> None:
    """End every child of this process but `others`, and theirs, which become children as their parents end."""
    while left := _children() - others:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _clear_semaphores() -> None:
    """Remove what a stage left in the shared memory of a container or sandbox: on a host there is others' too."""
    if os.getpid() <= 2:  # the first process of a namespace of its own, or the one that it started
        with suppress(OSError):
            for path in Path(sandbox.SEMAPHORES).iterdir():
                store.remove(path)


def _children() -> set[int]:
    """The processes whose parent this process is."""
    children: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread may end meanwhile
            children.update(map(int, (thread / "children").read_text().split()))
    return children


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


# The stage's side


def _stage(task: Task, pipe: int, runner: int) -> None:
    """The fork's whole life; it ends here, whatever happens."""
    status, reason = "failed", "the stage ended without a word"
    try:
        os.setpgid(0, 0)
        _libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == runner:  # else it died before it could take this process with it
            progress.connect_stage(pipe)
            _settle(task, pipe)
            status, reason = _call(task)
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        try:
            progress.reply(status, reason)
        finally:  # whoever should have read it may be dead
            os._exit(0)


def _settle(task: Task, pipe: int) -> None:
    """Give this process its own log, home and temporary files, and take from it everything else."""
    for stopping in STOPPING:
        signal.signal(stopping, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _redirect(os.open(os.devnull, os.O_RDONLY), 0)
    log = _open_log(task.log)
    _redirect(log, 1, 2)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number != pipe:
            with suppress(OSError):  # that of the listing itself is closed
                os.close(number)
    os.environ |= {"HOME": str(task.scratch), "TMPDIR": str(task.scratch)}
    tempfile.tempdir = None
    _enter_code_folder(task.scratch)
    if sandbox.available():
        inputs = [task.path(name) for name in (*task.step.inputs, *task.optional)]
        sandbox.restrict(sandbox.rules(store.volumes(), inputs, task.folder, task.scratch))


def _enter_code_folder(scratch: Path) -> None:
    """Work in a folder that has our code, by links: a Python that the stage starts looks for modules there.

    It finds a module by listing a folder, and the one that has the code can't be listed where the volume is in it.
    """
    folder = scratch / "code"
    folder.mkdir()
    (folder / "shared").symlink_to(Path(__file__).resolve().parents[1])
    (folder / "images").symlink_to(store.ROOT / "images")
    os.chdir(folder)


def _call(task: Task) -> tuple[str, str]:
    try:
        modules = {name: importlib.import_module(module) for name, module in task.step.modules.items()}
        entry = importlib.import_module(task.step.entry)
        paths: list[Any] = [task.path(name) for name in task.step.inputs]
        if task.step.optional:
            paths.append({name: task.path(name) for name in task.optional})
        entry.run(*paths, task.folder, **modules, **task.step.parameters)
    except Unsupported as error:
        return "unsupported", str(error)
    except CrossquantError as error:
        return "failed", str(error)
    except BaseException as error:  # the process boundary: what a framework raises becomes the row's reason
        traceback.print_exc()
        return "failed", describe(error, task.log)
    return "ok", ""


def _open_log(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)


def _redirect(source: int, *targets: int) -> None:
    """Make the file descriptors `targets` what `source` is, and close that."""
    for target in targets:
        os.dup2(source, target)
    os.close(source)


class _output_to:  # noqa: N801 - reads as a verb in a with statement
    """Send this process's stdout and stderr, down to the file descriptors, to a log file."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __enter__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.saved = os.dup(1), os.dup(2)
        _redirect(_open_log(self.log), 1, 2)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in enumerate(self.saved, start=1):
            _redirect(saved, number)
