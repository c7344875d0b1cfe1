"""Carry out a plan: image after image, each started only if it has something to do."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from typing import Protocol

from driver.engine import Engine, Event
from shared import store
from shared.contract import Plan, Step
from shared.errors import CrossquantError, StageError
from shared.freshness import Freshness


class Display(Protocol):
    """Shows events to a person."""

    def event(self, event: Event) -> None: ...


def run(
    freshness: Freshness, steps: Sequence[Step], choose: Callable[[], Engine], display: Display, force: bool
) -> bool:
    """Make the artifacts of `steps`. True if a stage failed or was skipped because one did.

    A failure stops only what needs its result; everything else still runs.
    """
    failed = False
    engine: Engine | None = None  # chosen when the first image has something to do
    for image, group in groupby(steps, key=lambda step: step.image):
        batch = list(group)
        if not force and all(freshness.done(step) for step in batch):
            continue
        arguments = [step.output for step in batch] + (["--force"] if force else [])
        engine = engine or choose()
        failed |= run_image(freshness.plan, image, arguments, engine, display)
        for step in batch:
            freshness.forget(step.output)
    return failed


def run_image(plan: Plan, image: str, arguments: Sequence[str], engine: Engine, display: Display) -> bool:
    """One start of one image. True if a stage failed or was skipped. However it ends, nothing half-written stays."""
    failed = False
    try:
        with closing(engine.start(plan, image, arguments)) as events:
            for event in events:
                display.event(event)
                failed |= event.get("status") in ("failed", "skipped")
                stop_on_error(event)
    finally:
        store.remove_partials(store.volumes() / plan.experiment / image)
    return failed


def stop_on_error(event: Event) -> None:
    """A runner that says `error` broke the contract, and did nothing."""
    if event["event"] == "error":
        kind = StageError if event["exit_code"] == StageError.exit_code else CrossquantError
        raise kind(event["message"])


@contextmanager
def lock(experiment: str) -> Iterator[None]:
    """Held while a driver works on an experiment's folder. CrossquantError if another one does."""
    folder = store.volumes() / experiment
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise CrossquantError(
            f"{folder} is not writable ({error.strerror}): change its owner, or set CROSSQUANT_VOLUMES"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CrossquantError(f"another run works on {folder}: wait for it, or stop it") from None
        yield
