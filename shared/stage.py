"""The entrypoint of every image: `python -m shared.stage IMAGE OUTPUT…` makes the named artifacts, in the plan's order.

The framework is imported once, here; each stage then runs in a fork of this process, so that a crash, a thread setting
or a leak in one stage touches no other. Nothing may run a framework's operator before the fork.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NoReturn

from shared.artifacts import locks, store
from shared.artifacts.code_hash import CodeHasher
from shared.artifacts.freshness import Freshness
from shared.command import DEFAULT_EXPERIMENT, format_command
from shared.contract import Failure, Plan, Step
from shared.errors import CrossquantError, StageError, Unconfined, explain
from shared.host_paths import on_host
from shared.runner import process, progress, sandbox, threads
from shared.runner.process import Outcome
from shared.runner.progress import Event, Progress

UNPROTECTED = "CROSSQUANT_UNPROTECTED"  # set where the user has said that nothing need confine the stages
ISOLATED = "CROSSQUANT_ISOLATED"  # set where the container holds one step's inputs alone, so that they need no judging


def main(argv: Sequence[str] | None = None) -> int:
    """0: all made (or refused by the framework); 2: wrong use; 3: a stage failed, unless --keep-going."""
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    progress.connect(os.dup(1))
    try:
        return run(arguments)
    except Unconfined as error:
        progress.emit(Event("unconfined", message=str(error), exit_code=error.exit_code))
        return error.exit_code
    except CrossquantError as error:
        progress.emit(Event("error", message=str(error), exit_code=error.exit_code))
        return error.exit_code
    except OSError as error:
        progress.emit(Event("error", message=explain(error), exit_code=StageError.exit_code))
        return StageError.exit_code
    except KeyboardInterrupt:
        return 130


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="shared.stage", description="Make artifacts of one image.")
    parser.add_argument("image", help="folder below images/")
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help="artifacts (default: all)")
    parser.add_argument("--force", action="store_true", help="make them even if they are fresh")
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="exit 0 when a stage fails: the failure is on the volume, and the comparison tells",
    )
    return parser.parse_intermixed_args(argv)


def run(arguments: argparse.Namespace) -> int:
    experiment = os.environ.get("EXPERIMENT") or DEFAULT_EXPERIMENT
    plan = store.read_plan(experiment)
    check_image(plan, arguments.image)
    steps = select(plan, arguments.image, arguments.outputs)
    check_code(plan, arguments.image, steps)
    check_confinement(plan)
    threads.limit(plan.threads)
    writable_folder(experiment, arguments.image)
    runner = Runner(plan, arguments.force)
    failed = runner.run(steps)
    return StageError.exit_code if failed and not arguments.keep_going else 0


def check_image(plan: Plan, image: str) -> None:
    if image not in plan.images:
        raise CrossquantError(f"unknown image '{image}': this plan has {', '.join(plan.images)}")


def check_code(plan: Plan, image: str, steps: Sequence[Step]) -> None:
    """CrossquantError unless this runner, and all that `steps` depend on, are the code that the plan was made from."""
    code = CodeHasher()
    if code.of_runner() != plan.runner or any(code.of_step(step) != step.code for step in steps):
        raise CrossquantError(
            f"image '{image}' was built from other code than the plan: run `{store.build_command(image)}`"
        )


def check_confinement(plan: Plan) -> None:
    """A model from elsewhere may run code: it needs a kernel that confines it, or a container for each stage."""
    excused = plan.own_model or os.environ.get(ISOLATED) or os.environ.get(UNPROTECTED)
    if not excused and not sandbox.available():
        raise Unconfined(
            f"this kernel can't confine a stage (Landlock version {sandbox.abi()}, {sandbox.LEAST_ABI} is needed), and "
            f"the model is not the project's own: use `{format_command('run', plan.experiment, '--engine docker')}`"
        )


def writable_folder(experiment: str, image: str) -> None:
    folder = store.volumes() / experiment / image
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrossquantError(f"{on_host(folder)} can't be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise CrossquantError(
            f"{on_host(folder)} is not writable by uid {os.getuid()}: change its owner, or CROSSQUANT_UID in .env"
        )


def select(plan: Plan, image: str, outputs: Sequence[str]) -> list[Step]:
    """The steps that make `outputs`, in the plan's order, whatever the order of the arguments."""
    wanted = {plan.step(output).output for output in outputs}
    steps = [step for step in plan.steps if step.output in wanted or (step.default and not wanted)]
    for step in steps:
        if wanted and step.image != image:
            raise CrossquantError(f"'{step.output}' is made by image '{step.image}', not '{image}'")
    return [step for step in steps if step.image == image]


class Runner:
    """Runs steps one after the other; remembers what it has made."""

    def __init__(self, plan: Plan, force: bool) -> None:
        self.plan, self.force = plan, force
        self.freshness = Freshness(plan, isolated=bool(os.environ.get(ISOLATED)))
        self.imported = False
        self.last_report = 0.0

    def run(self, steps: Sequence[Step]) -> bool:
        """True if a step failed, or was skipped because one did."""
        outcomes = [self.make(step, steps) for step in steps]
        return any(outcome.status in ("failed", "skipped") for outcome in outcomes)

    def make(self, step: Step, steps: Sequence[Step]) -> Outcome:
        """Make one artifact where it is not fresh, with its lock held and those of its inputs shared."""
        if self.nothing_to_do(step):
            return self.keep(step)
        final = store.artifact_path(self.plan, step.output)
        waiting = partial(self.tell, step)
        with ExitStack() as stack:
            for name in (*step.inputs, *step.optional):
                path = store.artifact_path(self.plan, name)
                stack.enter_context(locks.shared(path, waiting, self.plan.stage_seconds))
            stack.enter_context(locks.exclusive(final, waiting, self.plan.stage_seconds))
            self.freshness.forget()  # another runner may have made any of them meanwhile
            if self.nothing_to_do(step):
                return self.keep(step)
            for path in (final, store.failure_path(self.plan, step.output)):
                store.remove_partials(path)
            return self.make_anew(step, final, steps)

    def nothing_to_do(self, step: Step) -> bool:
        return bool(self.freshness.inputs(step).not_applicable) or (self.freshness.done(step) and not self.force)

    def make_anew(self, step: Step, final: Path, steps: Sequence[Step]) -> Outcome:
        inputs = self.freshness.inputs(step)
        if inputs.missing:
            reason = f"its input {inputs.missing} is missing or out of date"
            return self.conclude(step, Outcome("skipped", reason))
        if not self.imported:
            self.import_stages(steps)
        progress.emit(Event("start", step.output))
        started = time.monotonic()
        with store.temporary(final) as folder:
            outcome = process.run(self.plan, step, inputs.digests, folder, partial(self.advance, step))
            if outcome.gets_manifest:
                manifest = process.make_manifest(step, inputs.digests, outcome, folder)
                store.publish(folder, final, manifest)
                self.freshness.published(step.output, manifest)
            else:
                store.remove(final)  # made anew by force: the old result would look like this one's
        return self.conclude(step, outcome, time.monotonic() - started)

    def import_stages(self, steps: Sequence[Step]) -> None:
        """Import what the steps that are not done will need, once, before the first fork."""
        todo = [step for step in steps if self.force or not self.freshness.done(step)]
        process.preload(self.plan, todo)
        self.imported = True

    def advance(self, step: Step, news: Progress) -> None:
        """Pass on how far a stage is, as often as a person can read it, whatever the stage sends."""
        now = time.monotonic()
        if now - self.last_report >= progress.interval():
            self.last_report = now
            progress.emit(Event("progress", step.output, done=news.done, total=news.total))

    def tell(self, step: Step, message: str) -> None:
        progress.emit(Event("note", step.output, message=message))

    def keep(self, step: Step) -> Outcome:
        store.failure_path(self.plan, step.output).unlink(missing_ok=True)
        progress.emit(Event("fresh", step.output))
        return Outcome("ok")

    def conclude(self, step: Step, outcome: Outcome, seconds: float = 0.0) -> Outcome:
        self.freshness.forget()
        if outcome.status in ("failed", "skipped"):
            store.record_failure(self.plan, Failure(step.output, outcome.failure_status, outcome.reason))
        else:
            store.failure_path(self.plan, step.output).unlink(missing_ok=True)
        progress.emit(
            Event("end", step.output, status=outcome.status, reason=outcome.reason, seconds=round(seconds, 3))
        )
        return outcome


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def leave(code: int) -> NoReturn:
    """End the process at once: a framework takes most of a second to take itself down, and has nothing left to do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
