"""A variant on other CPUs: what its emulated runs say against its answers here, on the same images."""

from collections.abc import Iterator

import numpy as np

from driver import statistics
from driver.evidence import Evidence
from driver.results import Emulated
from shared import emulation


def runs(evidence: Evidence, variant: str) -> tuple[Emulated, ...]:
    """One for each CPU that gave answers."""
    return tuple(found(evidence, variant))


def found(evidence: Evidence, variant: str) -> Iterator[Emulated]:
    folder, labels, here = evidence.path(f"emulated.{variant}"), evidence.labels(), evidence.probabilities(variant)
    if folder is None or labels is None or here is None:
        return
    indices = np.load(folder / emulation.INDICES)
    own = here[indices].argmax(axis=1)
    for cpu, run in emulation.summary(folder).cpus.items():
        if not run.refused:
            there = np.load(folder / cpu / emulation.ANSWERS).argmax(axis=1)
            right = there == labels[indices]
            pairs = statistics.paired(own == labels[indices], right)
            interval = statistics.wilson(int(right.sum()), len(right))
            agreement, accuracy = float((own == there).mean()), float(right.mean())
            here_accuracy = float((own == labels[indices]).mean())
            yield Emulated(cpu, len(indices), accuracy, interval, here_accuracy, agreement, pairs.p_value)


def refusals(evidence: Evidence, variant: str) -> dict[str, str]:
    """The CPUs that can't run `variant`, with the reason."""
    name = f"emulated.{variant}"
    if (folder := evidence.path(name)) is not None:
        return {cpu: run.refused for cpu, run in emulation.summary(folder).cpus.items() if run.refused}
    seal = evidence.freshness.current(name) if name in evidence.freshness.steps else None
    return {"other CPUs": seal.reason} if seal is not None and seal.status == "unsupported" else {}
