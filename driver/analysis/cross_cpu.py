"""A variant on other CPUs: what its emulated runs say against its answers here, on the same images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from driver.analysis import metric_specs
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Answer, Evaluation, compute_headline, make_answer
from driver.analysis.results import Emulated, Interval
from shared.data import samples
from shared.emulation import emulation


@dataclass(frozen=True, eq=False)
class CpuRun:
    """The answers of one file to the samples of these indices, on another CPU and here."""

    indices: NDArray[np.int64]
    there: Answer
    here: Answer

    @property
    def alike(self) -> bool:
        """Are all outputs the same, bit for bit?"""
        boxes = self.there.boxes, self.here.boxes
        same_boxes = boxes[0] is None or boxes[1] is None or np.array_equal(boxes[0], boxes[1])
        return same_boxes and np.array_equal(self.there.outputs, self.here.outputs)


def read_runs(evaluation: Evaluation, variant: str) -> dict[str, CpuRun]:
    """For each CPU that gave answers."""
    evidence = evaluation.evidence
    folder, here = evidence.path(f"emulation.{variant}"), evaluation.evaluated_answer(variant)
    if folder is None or here is None:
        return {}
    indices = np.load(folder / emulation.INDICES)
    own = here.restrict(indices, here.truth.restrict(indices))
    runs = evidence.content(f"emulation.{variant}", emulation.SUMMARY).cpus
    return {cpu: CpuRun(indices, read_answer(folder / cpu, own), own) for cpu, run in runs.items() if not run.refused}


def read_answer(folder: Path, own: Answer) -> Answer:
    """The answers of the CPU whose folder this is, to the samples of `own`."""
    answers = samples.mapped(folder / emulation.ANSWERS)
    return make_answer(own.truth, samples.split_parts(answers, own.about))


def compare_runs(evaluation: Evaluation, variant: str) -> tuple[Emulated, ...]:
    """One for each CPU that gave answers; of a task without labels these are compared with the reference's."""
    return tuple(compare_run(cpu, run.here, run.there) for cpu, run in read_runs(evaluation, variant).items())


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
