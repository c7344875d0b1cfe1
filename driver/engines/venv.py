"""The engine for a host without Docker: one virtual environment an image, from the same lock."""

import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from driver.engines import bubblewrap
from driver.engines.base import ENDED, FOLDER
from driver.engines.bubblewrap import Sandbox, Trial
from driver.experiment.model import Limits
from driver.host import facts
from shared import stage
from shared.artifacts.store import ROOT, file_sha256
from shared.contract import Plan, Step
from shared.errors import CrossquantError, StageError, Unconfined
from shared.runner import progress
from shared.runner.progress import Event

log = logging.getLogger(__name__)
PYTHON = (3, 11)
PATIENCE = 10  # seconds
UNPROTECTED = ("HOME", "LOGNAME", "PATH", "TMPDIR", "USER")  # what a runner outside of a sandbox knows besides


class VenvEngine:
    """Runners in the sandbox `trial`, or on the host itself where that is None; CPUs are pinned as in a container.

    Memory is not limited: that takes a container.
    """

    name = "venv"

    def __init__(self, limits: Limits, say: Callable[[str], None], trial: Trial | None) -> None:
        self.limits, self.say, self.trial = limits, say, trial

    def start(self, plan: Plan, image: str, arguments: Sequence[str]) -> Generator[Event, None, None]:
        python = ensure_environment(image, self.say)
        program = [str(python), "-m", "shared.stage", image, *arguments]
        log.debug("%s", shlex.join(program))
        sandbox = bubblewrap.make_sandbox(self.trial, plan, image, python.parents[1]) if self.trial else None
        with ExitStack() as stack:
            with pin_cpus(plan.threads):
                process = stack.enter_context(sandbox.run(program) if sandbox else start_unprotected(plan, program))
            assert process.stdout is not None
            for line in process.stdout:
                if (event := progress.parse_event(line)) is not None:
                    yield event
            if process.wait() not in ENDED:
                raise find_sandbox_error(process, sandbox, python, image) or StageError(
                    f"the stages of image '{image}' were killed: run again"
                )

    def isolate(
        self,
        plan: Plan,
        step: Step,
        inputs: Mapping[str, Path],
        folder: Path,
    ) -> Generator[Event, None, None]:
        raise Unconfined(
            "this kernel can't confine a stage, and the model is not the project's own: use Docker (--engine docker)"
        )


@contextmanager
def pin_cpus(count: int) -> Iterator[None]:
    """Start processes on the first `count` CPUs: a process that is pinned later has had children by then."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, facts.cpus()[:count])  # of this thread
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def start_unprotected(plan: Plan, program: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Run `program` without a sandbox; it and its stages have ended when the block is left."""
    passed_on = {name: os.environ[name] for name in UNPROTECTED if name in os.environ}
    process = subprocess.Popen(
        program,
        cwd=ROOT,
        env={**bubblewrap.make_variables(plan), **passed_on, stage.UNPROTECTED: "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C comes to the driver alone, which then stops the stage
    )
    with process:  # closes its pipe
        try:
            yield process
        finally:
            stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    """End the runner and its stage: as a container's would be, by force where they don't by themselves."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for group in (*map(int, children), process.pid):  # a stage leads a group of its own
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            process.wait()


def find_sandbox_error(
    process: "subprocess.Popen[str]", sandbox: Sandbox | None, python: Path, image: str
) -> CrossquantError | None:
    """Why the runner did not start in its sandbox; None where it started, or has no sandbox."""
    if sandbox is None:
        return None
    assert process.stderr is not None
    errors = process.stderr.read(bubblewrap.LONGEST)
    refused = (
        bubblewrap.read_last_line(errors)
        if errors
        else sandbox.find_refusal([str(python), "-c", "import shared.stage"])
    )
    return CrossquantError(f"image '{image}' does not start in bubblewrap: {refused}") if refused else None


def ensure_environment(image: str, say: Callable[[str], None] = print) -> Path:
    """The interpreter of the image's environment, which is made if it is missing or its lock has changed."""
    lock = ROOT / "images" / image / "requirements.lock"
    folder = FOLDER / image
    stamp = folder / "lock.sha256"
    if stamp.exists() and stamp.read_text() == file_sha256(lock):
        return folder / "bin" / "python"
    say(f"making the environment of image '{image}' (once)")
    shutil.rmtree(folder, ignore_errors=True)
    install(lock, folder)
    stamp.write_text(file_sha256(lock))
    return folder / "bin" / "python"


def find_interpreter() -> str:
    """The Python that the images' locks are made for: this one, or another on this host."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = "python" + ".".join(map(str, PYTHON))
    path = shutil.which(name)
    if path is None:
        raise CrossquantError(f"the venv engine needs {name}, which is not on this host: install it, or use Docker")
    return path


def install(lock: Path, folder: Path) -> None:
    """Run the script that the images use, so that both engines install in one way."""
    command = ["sh", str(ROOT / "images" / "base" / "install"), str(lock), str(folder)]
    environment = {**os.environ, "PYTHON": find_interpreter()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise CrossquantError(f"the environment of {lock.parent.name} can't be made: {last[:300]}")
