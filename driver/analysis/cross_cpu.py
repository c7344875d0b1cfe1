"""A variant on other CPUs: what its emulated runs say against its answers here, on the same images."""

from collections.abc import Iterator

import numpy as np

from driver.analysis import evaluation, metric_specs
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Answer
from driver.analysis.results import Emulated, Interval
from shared.data import samples
from shared.emulation import emulation


def runs(evidence: Evidence, variant: str, held_against: str = "") -> tuple[Emulated, ...]:
    """One for each CPU that gave answers; of a task without labels these are held against those of a variant."""
    return tuple(found(evidence, variant, held_against))


def found(evidence: Evidence, variant: str, held_against: str) -> Iterator[Emulated]:
    folder, truth = evidence.path(f"emulation.{variant}"), evaluation.truth(evidence, held_against)
    here = evaluation.answers(evidence, truth, [variant]).get(variant)
    if folder is None or truth is None or here is None or not truth.judges:
        return
    indices = np.load(folder / emulation.INDICES)
    own = Answer(truth.of(indices), here.outputs[indices])
    for cpu, run in evidence.content(f"emulation.{variant}", emulation.SUMMARY).cpus.items():
        if not run.refused:
            there = Answer(own.truth, samples.mapped(folder / cpu / emulation.ANSWERS))
            yield emulated(cpu, own, there)


def emulated(cpu: str, here: Answer, there: Answer) -> Emulated:
    """The same samples through the same file."""
    found = evaluation.headline(there, here)
    agreement = float((here.top == there.top).mean()) if here.truth.task == "classification" else None
    before = here.value
    return Emulated(
        cpu,
        len(here.outputs),
        found.value,
        found.interval or Interval(found.value, found.value),
        before,
        agreement,
        1.0 if found.p_value is None else found.p_value,
        found.better,
        metric_specs.margin(found.name, before),
    )


def refusals(evidence: Evidence, variant: str) -> dict[str, str]:
    """The CPUs that can't run `variant`, with the reason."""
    name = f"emulation.{variant}"
    if (found := evidence.content(name, emulation.SUMMARY)) is not None:
        return {cpu: run.refused for cpu, run in found.cpus.items() if run.refused}
    seal = evidence.current(name)
    return {"other CPUs": seal.reason} if seal is not None and seal.status == "unsupported" else {}
