"""A variant on other CPUs: what its emulated runs say against its answers here, on the same images."""

from collections.abc import Iterator

import numpy as np

from driver.analysis import metric_specs
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Answer, Evaluation, compute_headline
from driver.analysis.results import Emulated, Interval
from shared.data import samples
from shared.emulation import emulation


def compare_runs(evaluation: Evaluation, variant: str) -> tuple[Emulated, ...]:
    """One for each CPU that gave answers; of a task without labels these are compared with the reference's."""
    return tuple(iterate_runs(evaluation, variant))


def iterate_runs(evaluation: Evaluation, variant: str) -> Iterator[Emulated]:
    evidence = evaluation.evidence
    folder, here = evidence.path(f"emulation.{variant}"), evaluation.evaluated_answer(variant)
    if folder is None or here is None:
        return
    indices = np.load(folder / emulation.INDICES)
    own = Answer(here.truth.restrict(indices), here.outputs[indices])
    for cpu, run in evidence.content(f"emulation.{variant}", emulation.SUMMARY).cpus.items():
        if not run.refused:
            there = Answer(own.truth, samples.mapped(folder / cpu / emulation.ANSWERS))
            yield compare_run(cpu, own, there)


def compare_run(cpu: str, here: Answer, there: Answer) -> Emulated:
    """The same samples through the same file."""
    metric = compute_headline(there, here)
    agreement = float((here.top == there.top).mean()) if here.truth.spec.has_classes else None
    before = here.value
    return Emulated(
        cpu,
        len(here.outputs),
        metric.value,
        metric.interval or Interval(metric.value, metric.value),
        before,
        agreement,
        1.0 if metric.p_value is None else metric.p_value,
        metric.better,
        metric_specs.least_loss(metric.name, before),
    )


def read_refusals(evidence: Evidence, variant: str) -> dict[str, str]:
    """The CPUs that can't run `variant`, with the reason."""
    name = f"emulation.{variant}"
    if (summary := evidence.content(name, emulation.SUMMARY)) is not None:
        return {cpu: run.refused for cpu, run in summary.cpus.items() if run.refused}
    manifest = evidence.current(name)
    return {"other CPUs": manifest.reason} if manifest is not None and manifest.status == "unsupported" else {}
