"""One comparison from the raw evidence: every figure of every framework by the same code."""

import dataclasses
import json
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver import gates, host
from driver.experiment import Experiment
from shared import predictions, store
from shared.contract import SCHEMA, Failure, Plan, Seal, Status, Step, read
from shared.freshness import Freshness
from shared.predictions import at_chance


@dataclass(frozen=True)
class Latency:
    """Of one call at batch 1 on one thread; p50 and p90 in milliseconds."""

    p50: float
    p90: float
    samples: int


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
    """`comparison.json`."""

    schema: int
    experiment: str
    reference: str
    dataset: dict[str, Any]
    variants: tuple[Variant, ...]
    host: dict[str, Any]
    versions: dict[str, dict[str, str]]
    gates: tuple[gates.Gate, ...]

    @property
    def exit_code(self) -> int:
        """3 where a row has failed, else 1 where a gate doesn't hold, else 0."""
        if any(row.status in ("failed", "skipped") for row in self.variants):
            return 3
        return 0 if all(gate.holds for gate in self.gates) else 1


def compare(freshness: Freshness, experiment: Experiment) -> Comparison:
    """What the volume holds now, judged. A variant that isn't up to date is a row without figures."""
    plan, evidence = freshness.plan, Evidence(freshness)
    reference = evidence.probabilities(experiment.reference)
    rows = tuple(evidence.row(step, reference) for step in variants(plan))
    return Comparison(
        schema=SCHEMA,
        experiment=experiment.name,
        reference=experiment.reference,
        dataset=evidence.dataset(),
        variants=rows,
        host=host.describe(),
        versions=evidence.versions(),
        gates=tuple(gates.evaluate(experiment.gates, rows)),
    )


def variants(plan: Plan) -> list[Step]:
    """The steps that make a variant: those whose predictions are made too. Float ones come first."""
    outputs = {step.output for step in plan.steps}
    found = [step for step in plan.steps if f"predictions.{step.output}" in outputs]
    return sorted(found, key=lambda step: recipe(step) != "fp32")


def recipe(step: Step) -> str:
    return step.output.removeprefix(f"{step.image}.")


class Evidence:
    """Reads the artifacts that are up to date, and only those."""

    def __init__(self, freshness: Freshness) -> None:
        self.plan, self.freshness = freshness.plan, freshness
        self.timings = self._timings()

    def path(self, name: str) -> Path | None:
        seal = self.freshness.current(name)
        good = seal is not None and seal.status == "ok"
        return store.artifact_path(self.plan, name) if good else None

    def dataset(self) -> dict[str, Any]:
        path, labels = self.path("dataset"), self.labels()
        about = json.loads((path / "about.json").read_text()) if path else {}
        count = 0 if labels is None else len(labels)
        return {
            "name": about.get("name", ""),
            "test_images": count,
            "sample": about.get("sample", False),
        }

    def labels(self) -> NDArray[np.uint8] | None:
        path = self.path("dataset")
        return np.load(path / "y_test.npy") if path else None

    def probabilities(self, variant: str) -> NDArray[np.float32] | None:
        path = self.path(f"predictions.{variant}")
        return np.load(path / predictions.FILE) if path else None

    def row(self, step: Step, reference: NDArray[np.float32] | None) -> Variant:
        status, reason = self.status(step)
        row = Variant(step.output, step.image, recipe(step), status, reason)
        seal = self.freshness.current(step.output)
        if seal is not None and seal.status == "ok":
            row = dataclasses.replace(row, size_bytes=size(seal))
        answers, labels = self.probabilities(step.output), self.labels()
        if answers is None or labels is None:
            return row
        row = dataclasses.replace(row, **figures(answers, labels, reference))
        if at_chance(answers, labels):
            return dataclasses.replace(row, status="failed", reason=chance_reason(answers, labels))
        return dataclasses.replace(row, **self.timings.get(step.output, {}))

    def status(self, step: Step) -> tuple[Status, str]:
        """Of the variant itself, or of its predictions if only they went wrong."""
        for name in (step.output, f"predictions.{step.output}"):
            seal = self.freshness.current(name)
            if seal is None:
                return self.failure(name)
            if seal.status == "unsupported":
                return "unsupported", seal.reason
        return "ok", ""

    def failure(self, name: str) -> tuple[Status, str]:
        path = store.failure_path(self.plan, name)
        if path.exists():
            failure = read(Failure, path)
            return failure.status, f"{name}: {failure.reason}"
        return "skipped", f"{name} is missing or out of date: run `python -m driver run {name}`"

    def versions(self) -> dict[str, dict[str, str]]:
        """Per image, what its requirements name, as installed where its artifacts were made."""
        found: dict[str, dict[str, str]] = {}
        for step in variants(self.plan):
            seal = self.freshness.current(step.output)
            if seal is not None and step.image not in found:
                installed = {normalized(name): version for name, version in seal.versions.items()}
                named = sorted(direct_requirements(step.image))
                found[step.image] = {name: installed[normalized(name)] for name in named}
        return found

    def _timings(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for step in self.plan.steps:
            path = self.path(step.output) if step.run == "latency" else None
            if path is not None:
                samples = json.loads((path / "samples.json").read_text())
                found |= {name: timing(raw) for name, raw in samples.items()}
        return found


def figures(
    answers: NDArray[np.float32],
    labels: NDArray[np.uint8],
    reference: NDArray[np.float32] | None,
) -> dict[str, Any]:
    """Accuracy, and against the reference the difference, the agreement and the largest difference of a probability."""
    top = answers.argmax(axis=1)
    accuracy = float((top == labels).mean())
    if reference is None:
        return {"accuracy": accuracy}
    top_reference = reference.argmax(axis=1)
    difference = accuracy - float((top_reference == labels).mean())
    return {
        "accuracy": accuracy,
        "delta_pp": round(100 * difference, 6),
        "agreement": float((top == top_reference).mean()),
        "max_abs_diff": float(np.abs(answers - reference).max()),
    }


def timing(raw: dict[str, Any]) -> dict[str, Any]:
    """From `shared.timing.Samples`: latency over all rounds, throughput from the median call."""
    single = [1000 * seconds for calls in raw["latency"] for seconds in calls]
    many = [seconds for calls in raw["throughput"] for seconds in calls]
    p50, p90 = (float(value) for value in np.percentile(single, (50, 90)))
    rate = raw["batch_size"] / statistics.median(many)
    return {"latency_ms": Latency(p50, p90, len(single)), "images_per_second": rate}


def size(seal: Seal) -> int:
    """Bytes of the file that is shipped."""
    return sum(file.size for name, file in seal.files.items() if name.startswith("model."))


def chance_reason(answers: NDArray[np.float32], labels: NDArray[np.uint8]) -> str:
    accuracy = float((answers.argmax(axis=1) == labels).mean())
    return f"answers no better than chance: {accuracy:.2%} with {answers.shape[1]} classes"


def direct_requirements(image: str) -> set[str]:
    """Names of the packages that the image's requirements.in asks for."""
    lines = (store.ROOT / "images" / image / "requirements.in").read_text().splitlines()
    return {line.split("==")[0].strip() for line in lines if line and not line.startswith("#")}


def normalized(name: str) -> str:
    """A package's name as the index compares it (PEP 503): the installed one may be spelt otherwise."""
    return re.sub(r"[-_.]+", "-", name).lower()
