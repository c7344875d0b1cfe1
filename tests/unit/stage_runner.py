"""The stage runner in this process, on a checkout that holds the null image alone."""

import importlib
import os
import signal
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import null_image
import pytest
from null_image import IMAGE, INPUT, keep_input, step

from shared import stage
from shared.artifacts import store
from shared.contract import Failure, Manifest, Plan, encode, read
from shared.runner import process, progress, threads
from shared.runner.progress import Event


class Runner:
    """Runs `python -m shared.stage` in this process, on a plan, and keeps what it says."""

    def __init__(self, images: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.images, self.capture = images, capture
        self.events: list[Event] = []

    def __call__(self, plan: Plan, *arguments: str, image: str = IMAGE) -> int:
        """The exit code. Every line that comes out must be an event."""
        store.write_atomically(store.plan_path(plan.experiment), encode(plan))
        forget_stages()
        with own_streams():
            code = stage.main([image, *arguments])
        os.close(progress._to_driver.stream)
        self.listen()
        return code

    def listen(self) -> None:
        """Every line must be an event."""
        lines = self.capture.readouterr().out.splitlines()
        events = [progress.parse_event(line) for line in lines]
        assert all(events), lines
        self.events = [event for event in events if event]

    def named(self, event: str) -> list[str]:
        return [each.output for each in self.events if each.event == event]

    @property
    def ends(self) -> dict[str, tuple[str, str]]:
        """Status and reason of each artifact, in order."""
        return {e.output: (e.status, e.reason) for e in self.events if e.event == "end"}

    @property
    def error(self) -> dict[str, object]:
        """Message and exit code of the one event."""
        (error,) = self.events
        assert error.event == "error"
        return {"message": error.message, "exit_code": error.exit_code}


@contextmanager
def own_streams():
    """Python's streams on the file descriptors 1 and 2, buffered, as a process has them; pytest's are elsewhere."""
    with (
        open(1, "w", closefd=False) as out,
        open(2, "w", closefd=False) as err,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        yield


def forget_stages() -> None:
    """Import the null stages anew: each run of the real runner is a process of its own."""
    for name in [name for name in sys.modules if name.startswith(f"images.{IMAGE}")]:
        del sys.modules[name]
    importlib.invalidate_caches()


# What the manifests name, read once: the metadata of a hundred packages take longer than a null stage.
DISTRIBUTIONS = [
    SimpleNamespace(metadata={"Name": each.metadata["Name"]}, version=each.version) for each in metadata.distributions()
]


@pytest.fixture(name="run")
def make_runner(tmp_path, volumes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):  # noqa: ARG001
    """A runner on a checkout that holds the null image alone, with the input artifact in place."""
    terminate = signal.getsignal(signal.SIGTERM)
    root = tmp_path / "checkout"
    images = null_image.install(root)
    monkeypatch.setattr(store, "ROOT", root)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setenv("EXPERIMENT", null_image.EXPERIMENT)
    for name in ("PROGRESS", "CROSSQUANT_IMAGE_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in threads.VARIABLES:
        monkeypatch.setenv(name, "64")
    for channel in ("_to_driver", "_to_runner"):
        monkeypatch.setattr(progress, channel, progress._Channel())
    monkeypatch.setattr(process, "metadata", SimpleNamespace(distributions=lambda: DISTRIBUTIONS))
    keep_input(null_image.plan(), "input ")
    yield Runner(images, capfd)
    monkeypatch.undo()
    signal.signal(signal.SIGTERM, terminate)
    forget_stages()


def path(name: str) -> Path:
    return store.artifact_path(null_image.plan(step(name), code={}), name)


def log(name: str) -> Path:
    return path(name).parent / "logs" / f"{name}.log"


def read_manifest(name: str) -> Manifest | None:
    return store.read_verified_manifest(path(name), name)


def input_seal() -> Manifest:
    return store.read_verified_manifest(store.volumes() / "inputs/data", INPUT)


def text(name: str) -> str:
    return (path(name) / "text.txt").read_text()


def failures() -> dict[str, Failure]:
    """All failures that are on the volume."""
    records = [read(Failure, file) for file in sorted((path("").parent / "null" / "failures").glob("*"))]
    return {failure.name: failure for failure in records}


def partials() -> list[Path]:
    return list(store.volumes().rglob("*.partial"))
