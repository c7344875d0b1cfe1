"""From an experiment to its steps: pure, and tested without a container."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from driver.catalog.declarations import Catalog
from driver.experiment.model import Experiment
from driver.plan.expand import expand
from shared.artifacts.code_hash import CodeHasher
from shared.contract import PLAN_SCHEMA, Plan, Step
from shared.errors import CrossquantError


def make(
    experiment: Experiment, catalog: Catalog, inputs: dict[str, str], cpus: int, *, own_model: bool = False
) -> Plan:
    """The whole plan, its steps in an order in which each image is started as seldom as can be.

    `inputs` has the folder, below the volumes' root, of each artifact that `fetch` brings; `cpus` how many there are.
    `own_model`: are model and data known to be the project's own?
    """
    code = CodeHasher()
    steps = add_code_hashes(expand(experiment, catalog), code)
    locations = {step.output: f"{experiment.name}/{step.image}/{step.output}" for step in steps}
    first = [step for batch in cut_batches([step for step in steps if step.turn == 1], set(inputs)) for step in batch]
    ordered = first + order_later_turns(steps, first)
    return Plan(
        schema=PLAN_SCHEMA,
        experiment=experiment.name,
        threads=min(experiment.limits.cpus, cpus),
        stage_seconds=experiment.limits.stage_seconds,
        images=tuple(catalog),
        runner=code.of_runner(),
        locations={**inputs, **locations},
        steps=tuple(ordered),
        own_model=own_model,
    )


def add_code_hashes(steps: Iterable[Step], code: CodeHasher) -> list[Step]:
    """The steps with the hash of their code, which is the same for all that call the same modules of an image."""
    hashes: dict[tuple[object, ...], str] = {}
    hashed = []
    for step in steps:
        modules = (step.image, step.entry, *sorted(step.modules.items()))
        if modules not in hashes:
            hashes[modules] = code.of_step(step)
        hashed.append(replace(step, code=hashes[modules]))
    return hashed


def cut_batches(steps: Iterable[Step], there: set[str]) -> Iterator[list[Step]]:
    """Cut `steps` into batches of one image each; every step comes after those it needs.

    Of the images that can go on, the one goes first that can do all it has left to do; else the one that can do most.
    """
    left, there = list(steps), set(there)
    everything = there | {step.output for step in left}
    while left:
        best: list[Step] = []
        for image in dict.fromkeys(step.image for step in left):
            mine = [step for step in left if step.image == image]
            batch = select_possible(mine, there, everything)
            if len(batch) == len(mine):
                best = batch
                break
            best = max(best, batch, key=len)
        if not best:
            stuck = left[0]
            absent = [name for name in stuck.inputs if name not in everything]
            raise CrossquantError(f"'{stuck.output}' needs {absent or stuck.inputs}: no stage makes it")
        yield best
        there |= {step.output for step in best}
        left = [step for step in left if step not in best]


def order_later_turns(steps: Iterable[Step], first: Sequence[Step]) -> list[Step]:
    """The later turns of what is repeated: turn after turn, in each the images in the order of `first`."""
    images = list(dict.fromkeys(step.image for step in first))
    later = [step for step in steps if step.turn > 1]
    return sorted(later, key=lambda step: (step.turn, images.index(step.image)))


def select_possible(steps: list[Step], there: set[str], everything: set[str]) -> list[Step]:
    """Those of `steps` (of one image) that can be made in a row from what is `there`, in order."""
    there, batch, waiting = set(there), [], list(steps)
    while ready := [s for s in waiting if list_needs(s, everything) <= there]:
        batch.append(ready[0])
        there.add(ready[0].output)
        waiting.remove(ready[0])
    return batch


def list_needs(step: Step, everything: set[str]) -> set[str]:
    return set(step.inputs) | (set(step.optional) & everything)


def select(plan: Plan, targets: Iterable[str]) -> list[Step]:
    """The steps that `targets` need, in order; all default ones where there is no target."""
    wanted = {plan.step(name).output for name in targets}
    if not wanted:
        return [step for step in plan.steps if step.default]
    for step in reversed(plan.steps):
        if step.output in wanted:
            wanted |= set(step.inputs) | set(step.optional)
    return [step for step in plan.steps if step.output in wanted]
