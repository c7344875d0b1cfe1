"""What runs a stage command. Two engines: containers, and virtual environments for a host without Docker."""

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from shared.contract import Plan

Event = dict[str, Any]


class Engine(Protocol):
    """`start` runs `python -m shared.stage IMAGE OUTPUT…` and yields its events until it ends.

    StageError where the runner dies without a word, CrossquantError (exit code 2) where it can't be started. Closing
    the iterator stops the runner and leaves nothing behind.
    """

    name: str

    def start(self, plan: Plan, image: str, arguments: Sequence[str]) -> Generator[Event, None, None]: ...
