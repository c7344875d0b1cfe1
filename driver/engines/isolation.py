"""One start of an image for each step, where the kernel has no Landlock and the model may be hostile.

A stage that runs such a model could otherwise change what is finished, or take over its runner. Here it is alone with
its inputs, which it can't write, and a folder of its own; what it leaves there is checked and published by the driver.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from driver.engines.base import Display, Engine, stop_on_error
from shared.artifacts import locks, store
from shared.artifacts.freshness import Freshness, Inputs
from shared.contract import Failure, Plan, Step
from shared.errors import StageError
from shared.runner.progress import Event

LARGEST_LOG = 1 << 24  # bytes
FOLDER = ".isolated"  # below the experiment's folder: what a step alone in its container writes


def run(freshness: Freshness, steps: Sequence[Step], engine: Engine, display: Display, force: bool) -> bool:
    """Make the artifacts of `steps`, of one image. True if a stage failed, or was skipped because one did."""
    failed = False
    for step in steps:
        freshness.forget()
        inputs = freshness.inputs(step)
        if not inputs.not_applicable and (force or not freshness.done(step)):
            end = make(freshness.plan, step, inputs, engine, display)
            display.event(end)
            failed |= end.status in ("failed", "skipped")
        else:
            display.event(Event("fresh", step.output))
    return failed


def make(plan: Plan, step: Step, inputs: Inputs, engine: Engine, display: Display) -> Event:
    """Make one artifact, record its outcome, and return the event of its end."""
    if inputs.missing:
        reason = f"its input {inputs.missing} is missing or out of date"
        return record(plan, Event("end", step.output, status="skipped", reason=reason))
    final = store.artifact_path(plan, step.output)

    def waiting(message: str) -> None:
        display.event(Event("note", step.output, message=message))

    with locks.exclusive(final, waiting, plan.stage_seconds), make_staging_folder(plan) as folder:
        try:
            end = attempt(plan, step, inputs, engine, folder, display)
        except StageError as error:  # it has ended its own runner, which is all that it can reach
            end = Event("end", step.output, status="failed", reason=str(error))
        keep_log(folder / "logs" / f"{step.output}.log", store.log_path(plan, step.output))
        if end.status in ("ok", "unsupported"):
            end = publish(plan, step, inputs, folder / step.output, end)
        return record(plan, end)


def attempt(plan: Plan, step: Step, inputs: Inputs, engine: Engine, folder: Path, display: Display) -> Event:
    """Run the step. Of what comes out of its container only events about the step itself are believed."""
    there = {plan.locations[name]: store.artifact_path(plan, name) for name, digest in inputs.digests.items() if digest}
    for path in there.values():
        if path.parent == store.artifact_path(plan, step.output).parent:
            (folder / path.name).mkdir()  # where it is mounted
    end = Event("end", step.output, status="failed", reason="the stage ended without a word")
    with closing(engine.isolate(plan, step, there, folder)) as events:
        for event in events:
            stop_on_error(event)
            if event.event == "end" and event.output == step.output:
                end = event
            elif event.event in ("start", "progress") and event.output == step.output:
                display.event(event)
    return end


def keep_log(written: Path, to: Path) -> None:
    """Keep the first bytes of the stage's log, if it is a file."""
    try:
        with os.fdopen(os.open(written, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            text = file.read(LARGEST_LOG) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(text)


def publish(plan: Plan, step: Step, inputs: Inputs, output: Path, end: Event) -> Event:
    """Put the container's output into its place, if its manifest has the expected name, code, inputs and parameters."""
    try:
        manifest = None if output.is_symlink() else store.read_verified_manifest(output, step.output)
    except store.Damaged:
        manifest = None
    expected = (step.output, step.code, inputs.digests, step.parameters, end.status)
    if (
        manifest is None
        or (manifest.name, manifest.code, manifest.inputs, manifest.parameters, manifest.status) != expected
    ):
        return replace(end, status="failed", reason="what the stage left is not what its runner was to make")
    final = store.artifact_path(plan, step.output)
    store.remove(final)
    output.rename(final)
    return end


def record(plan: Plan, end: Event) -> Event:
    """Keep a failure on the volume, and forget an earlier one."""
    if end.status == "failed" or end.status == "skipped":
        store.record_failure(plan, Failure(end.output, end.status, end.reason))
        store.remove(store.artifact_path(plan, end.output))
    else:
        store.failure_path(plan, end.output).unlink(missing_ok=True)
    return end


@contextmanager
def make_staging_folder(plan: Plan) -> Iterator[Path]:
    """An empty folder, gone afterwards."""
    place = store.volumes().resolve() / plan.experiment / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        yield folder
    finally:
        store.remove(folder)
