"""The engine for a host without Docker: one virtual environment an image, from the same lock."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from driver import host
from driver.experiment import Limits
from shared import locks, progress
from shared.contract import Plan, Step
from shared.errors import CrossquantError, StageError, Unconfined
from shared.progress import Event
from shared.store import ROOT, file_sha256

FOLDER = ROOT / ".venvs"
PYTHON = (3, 11)
PATIENCE = 10  # seconds


class VenvEngine:
    """CPUs are pinned as in a container. Memory is not limited, the network not cut off: that takes a container."""

    name = "venv"

    def __init__(self, limits: Limits, say: Callable[[str], None]) -> None:
        self.limits, self.say = limits, say

    def start(self, plan: Plan, image: str, arguments: Sequence[str]) -> Generator[Event, None, None]:
        python = ensure(image, self.say)
        process = subprocess.Popen(
            [python, "-m", "shared.stage", image, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "EXPERIMENT": plan.experiment,
                "PROGRESS": "json",
                locks.HOLDER: f"the driver, {locks.describe_self()}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C comes to the driver alone, which then stops the stage
        )
        os.sched_setaffinity(process.pid, host.cpus()[: plan.threads])
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if (event := progress.parse_event(line)) is not None:
                    yield event
            if process.wait() not in (0, 2, 3, 4):
                raise StageError(f"the stages of image '{image}' were killed: run again")
        finally:
            stop(process)

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


def ensure(image: str, say: Callable[[str], None] = print) -> Path:
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


def interpreter() -> str:
    """The Python that the images' locks are made for: this one, or another on this host."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = "python" + ".".join(map(str, PYTHON))
    found = shutil.which(name)
    if found is None:
        raise CrossquantError(f"the venv engine needs {name}, which is not on this host: install it, or use Docker")
    return found


def install(lock: Path, folder: Path) -> None:
    """Run the script that the images use, so that both engines install in one way."""
    command = ["sh", str(ROOT / "images" / "base" / "install"), str(lock), str(folder)]
    environment = {**os.environ, "PYTHON": interpreter()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise CrossquantError(f"the environment of {lock.parent.name} can't be made: {last[:300]}")
