"""One comparison from the raw evidence: every figure of every framework by the same code."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver import gates, host, metrics
from driver.evidence import Evidence, recipe, variants
from driver.experiment import Experiment
from driver.metrics import Latency
from shared.contract import SCHEMA, Failure, Seal, Status, Step
from shared.errors import StageError
from shared.freshness import Freshness
from shared.predictions import at_chance


@dataclass(frozen=True)
class Variant:
    """A row. `delta_pp` is in percentage points; figures that there are none of are None."""

    name: str
    image: str
    recipe: str
    status: Status
    reason: str = ""
    accuracy: float | None = None
    delta_pp: float | None = None
    agreement: float | None = None
    max_abs_diff: float | None = None
    size_bytes: int | None = None
    latency_ms: Latency | None = None
    images_per_second: float | None = None

    @property
    def quantized(self) -> bool:
        return self.recipe != "fp32"


@dataclass(frozen=True)
class Comparison:
    """`comparison.json`. `failures` has the stages that make no row, such as latency, and have no result."""

    schema: int
    experiment: str
    reference: str
    dataset: dict[str, Any]
    variants: tuple[Variant, ...]
    host: dict[str, Any]
    versions: dict[str, dict[str, str]]
    gates: tuple[gates.Gate, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def exit_code(self) -> int:
        """3 where a row or another stage has failed, else 1 where a gate doesn't hold, else 0."""
        if self.failures or any(row.status in ("failed", "skipped") for row in self.variants):
            return StageError.exit_code
        return 0 if all(gate.holds for gate in self.gates) else 1


def compare(freshness: Freshness, experiment: Experiment) -> Comparison:
    """What the volume holds now, judged. A variant that isn't up to date is a row without figures."""
    plan, evidence = freshness.plan, Evidence(freshness)
    reference = evidence.probabilities(experiment.reference)
    rows = tuple(row(evidence, step, reference) for step in variants(plan))
    return Comparison(
        schema=SCHEMA,
        experiment=experiment.name,
        reference=experiment.reference,
        dataset=evidence.dataset(),
        variants=rows,
        host=host.describe(),
        versions=evidence.versions(),
        gates=tuple(gates.evaluate(experiment.gates, rows)),
        failures=evidence.failures(),
    )


def row(evidence: Evidence, step: Step, reference: NDArray[np.float32] | None) -> Variant:
    """All that is known of one variant; against `reference`, its probabilities, where there are any."""
    status, reason = evidence.status(step)
    known = Variant(step.output, step.image, recipe(step), status, reason)
    if seal := evidence.seal(step.output):
        known = replace(known, size_bytes=size(seal))
    answers, labels = evidence.probabilities(step.output), evidence.labels()
    if answers is None or labels is None:
        return known
    known = replace(known, **metrics.figures(answers, labels, reference))
    if at_chance(answers, labels):
        return replace(known, status="failed", reason=chance_reason(answers, labels))
    return replace(known, **evidence.timings.get(step.output, {}))


def size(seal: Seal) -> int:
    """Bytes of the file that is shipped."""
    return sum(file.size for name, file in seal.files.items() if name.startswith("model."))


def chance_reason(answers: NDArray[np.float32], labels: NDArray[np.uint8]) -> str:
    accuracy = float((answers.argmax(axis=1) == labels).mean())
    return f"answers no better than chance: {accuracy:.2%} with {answers.shape[1]} classes"
