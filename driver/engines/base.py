"""What runs a stage command. Two engines: containers, and virtual environments for a host without Docker."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from shared.artifacts.store import ROOT
from shared.contract import Plan, Step
from shared.errors import CrossquantError, StageError, Unconfined
from shared.runner.progress import Event

FOLDER = ROOT / ".venvs"  # the environments of the venv engine, one an image
ENDED = (0, CrossquantError.exit_code, StageError.exit_code, Unconfined.exit_code)  # with which a runner ends by itself


def stop_on_error(event: Event) -> None:
    """A runner that says `error` broke the contract, and did nothing."""
    if event.event == "unconfined":
        raise Unconfined(event.message)
    if event.event == "error":
        kind = StageError if event.exit_code == StageError.exit_code else CrossquantError
        raise kind(event.message)


class Display(Protocol):
    """Shows events to a person."""

    def event(self, event: Event) -> None: ...


class Engine(Protocol):
    """`start` runs `python -m shared.stage IMAGE OUTPUT…` and yields its events until it ends.

    StageError where the runner dies without a word, CrossquantError (exit code 2) where it can't be started. Closing
    the iterator stops the runner and leaves nothing behind.
    """

    name: str

    def start(self, plan: Plan, image: str, arguments: Sequence[str]) -> Generator[Event, None, None]: ...

    def isolate(self, plan: Plan, step: Step, inputs: Mapping[str, Path], folder: Path) -> Generator[Event, None, None]:
        """Run one step in a container or sandbox of its own, for a kernel that can't confine a stage.

        It can read `inputs`, the folders of what it was given by their locations below the volumes' root, and write
        `folder`, which stands where the image's folder is. CrossquantError where this engine has no such thing.
        """
        ...
