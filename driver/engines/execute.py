"""Run a plan: image after image, each started only if it has something to do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby

from driver.engines import isolation
from driver.engines.base import Display, Engine, stop_on_error
from shared.artifacts import locks, store
from shared.artifacts.freshness import Freshness
from shared.contract import Plan, Step
from shared.errors import CrossquantError, Unconfined
from shared.runner.progress import Event

ALONE = "the kernel can't confine a stage and the model is not the project's own: each stage gets a container (slower)"


def run(
    freshness: Freshness, steps: Sequence[Step], choose: Callable[[], Engine], display: Display, force: bool
) -> bool:
    """Make the artifacts of `steps`. True if a stage failed or was skipped because one did.

    A failure stops only what needs its result; everything else still runs.
    """
    failed, confined = False, True
    engine: Engine | None = None  # chosen when the first image has something to do
    for image, group in groupby(steps, key=lambda step: step.image):
        batch = list(group)
        if not force and all(freshness.done(step) for step in batch):
            for step in batch:
                display.event(Event("fresh", step.output))
            continue
        engine = engine or choose()
        if confined:
            try:
                failed |= run_image(freshness.plan, image, batch, engine, display, force)
            except Unconfined:
                confined = False
                display.event(Event("note", message=ALONE))
        if not confined:
            failed |= isolation.run(freshness, batch, engine, display, force)
        freshness.forget()
    return failed


def run_image(plan: Plan, image: str, batch: Sequence[Step], engine: Engine, display: Display, force: bool) -> bool:
    """One start of one image. True if a stage failed or was skipped. However it ends, nothing half-written stays."""
    failed = False
    arguments = [step.output for step in batch] + (["--force"] if force else [])
    try:
        with closing(engine.start(plan, image, arguments)) as events:
            for event in events:
                display.event(event)
                failed |= event.status in ("failed", "skipped")
                stop_on_error(event)
    finally:
        remove_partials(plan, image)
    return failed


def remove_partials(plan: Plan, image: str) -> None:
    """What killed runners of an image left, but for the artifacts that another one makes now."""
    for step in [step for step in plan.steps if step.image == image]:
        final = store.artifact_path(plan, step.output)
        with locks.unless_held(locks.path(final)) as free:
            if free:
                store.remove_partials(final)
                store.remove_partials(store.failure_path(plan, step.output))


@contextmanager
def lock(experiment: str) -> Iterator[None]:
    """Lock the experiment's folder for this driver. CrossquantError names the other driver that holds it."""
    folder = store.volumes() / experiment
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except OSError as error:
        raise CrossquantError(
            f"{folder} is not writable ({error.strerror}): change its owner, or set CROSSQUANT_VOLUMES"
        ) from None
    with locks.whole_folder(folder / ".lock", folder):
        yield
