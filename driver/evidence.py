"""What the volume holds for a comparison: seals, predictions, timings. Only what is up to date counts."""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from driver import host, metrics
from driver.experiment import Experiment
from driver.results import Cold
from shared import predictions, samples, store
from shared.contract import Failure, Plan, Seal, Status, Step, read, read_if_whole
from shared.errors import CrossquantError
from shared.freshness import Freshness
from shared.samples import About, Array, Batch
from shared.search import EXCLUDED
from shared.startup import Start
from shared.tasks import blocks
from shared.text import printable
from shared.timing import Timings

LABELS = {"dataset": "labels", "selection": "selection.labels"}


class Evidence:
    """Reads the artifacts that are up to date, and only those."""

    def __init__(self, freshness: Freshness) -> None:
        self.plan, self.freshness = freshness.plan, freshness
        self._malformed: dict[str, str] = {}

    def path(self, name: str) -> Path | None:
        return store.artifact_path(self.plan, name) if self.seal(name) else None

    def dataset(self) -> dict[str, Any]:
        path, about = self.path("dataset"), self.about()
        return {
            "name": about.name,
            "test_images": samples.count(path) if path else 0,
            "split": "training" if self.plan.step("dataset").run == "selection" else "test",
            "sample": about.sample,
            "classes": list(about.classes),
            "task": about.task,
            "unit": about.unit,
        }

    def about(self) -> About:
        """What the test samples are; the defaults where there are none."""
        path = self.path("dataset")
        return samples.about(path) if path else About()

    def seal(self, name: str) -> Seal | None:
        """Of an artifact that is there, up to date and no refusal; None also where the plan has no such artifact."""
        seal = self.freshness.current(name) if name in self.plan.locations else None
        return seal if seal is not None and seal.status == "ok" else None

    def labels(self, artifact: str = "dataset") -> Array | None:
        """Those of the samples in `artifact`: the test set's and the selection set's lie apart from the samples."""
        path = self.path(LABELS.get(artifact, artifact))
        return samples.labels(path) if path else None

    def test_inputs(self) -> Batch | None:
        """As they are stored, mapped: an array an input of the model."""
        path = self.path("dataset")
        return tuple(map(samples.mapped, samples.inputs(path))) if path else None

    def outputs(self, variant: str) -> Batch | None:
        """The raw answers, mapped: an array an output of the model. None where there are none that can be judged."""
        path = self.path(f"predictions.{variant}")
        return None if path is None or self.malformed(variant) else self._mapped(path)

    def malformed(self, variant: str) -> str:
        """Why its predictions are no answers to the samples, "" where they are: a model's code may write anything."""
        path = self.path(f"predictions.{variant}")
        if path is not None and variant not in self._malformed:
            judge = self.path(self.plan.step(f"predictions.{variant}").inputs[1])
            self._malformed[variant] = problem(path, samples.count(judge) if judge else None)
        return self._malformed.get(variant, "")

    @staticmethod
    def _mapped(path: Path) -> Batch:
        return tuple(map(samples.mapped, predictions.outputs(path)))

    def status(self, step: Step) -> tuple[Status, str]:
        """Of the variant itself, or of its predictions if only they went wrong."""
        for name in (step.output, f"predictions.{step.output}"):
            seal = self.freshness.current(name)
            if seal is None:
                failure = self.failure(name)
                return failure.status, f"{name}: {failure.reason}"
            if seal.status == "unsupported":
                return "unsupported", seal.reason
        reason = self.malformed(step.output)
        return ("failed", reason) if reason else ("ok", "")

    def failures(self) -> tuple[Failure, ...]:
        """What no row tells: stages that make no variant and no predictions, such as latency, and have no result."""
        told = {name for step in variants(self.plan) for name in (step.output, f"predictions.{step.output}")}
        others = [step for step in self.plan.steps if step.default and step.output not in told]
        lacking = [step.output for step in others if not self.freshness.done(step)]
        return tuple(self.failure(name) for name in lacking)

    def failure(self, name: str) -> Failure:
        """Why `name` has no result."""
        unknown = f"missing or out of date: run `python -m driver run {name}`"
        return self.recorded(name) or Failure(name, "skipped", unknown)

    def recorded(self, name: str) -> Failure | None:
        """The failure that the stage of `name` left."""
        path = store.failure_path(self.plan, name)
        try:
            return read(Failure, path) if path.exists() else None
        except CrossquantError:  # damaged: that it failed is known, and the next run finds out why
            return Failure(name, "failed", f"the record of why it failed is damaged: run `python -m driver run {name}`")

    def replaced(self) -> str:
        """An artifact that was made anew since it was read here; "" where there is none."""
        for name in self.plan.locations:
            seal = self.freshness.current(name)
            if seal is not None and read_if_whole(Seal, store.artifact_path(self.plan, name) / store.SEAL) != seal:
                return name
        return ""

    def versions(self) -> dict[str, dict[str, str]]:
        """Per image, what its requirements name, as installed where its artifacts were made."""
        found: dict[str, dict[str, str]] = {}
        for step in variants(self.plan):
            seal = self.freshness.current(step.output)
            if seal is not None and step.image not in found:
                installed = self.installed(step.output)
                named = sorted(direct_requirements(step.image))
                found[step.image] = {name: installed[normalized(name)] for name in named}
        return found

    def installed(self, name: str) -> dict[str, str]:
        """Versions of the packages that `name` was made with, by their normalized names."""
        seal = self.freshness.current(name)
        return {normalized(package): version for package, version in seal.versions.items()} if seal else {}

    def in_float(self, variant: str) -> tuple[tuple[str, ...], bool | None]:
        """The layers that `exclude: auto` left in float, and whether its limit holds."""
        path = self.path(variant)
        if path is None or not (path / EXCLUDED).exists():
            return (), None
        found = json.loads((path / EXCLUDED).read_text())
        return tuple(found["layers"]), bool(found["holds"])

    def whole(self, variant: str) -> str:
        """The variant that is `variant` with no layer left in float by `exclude: auto`; "" where there is none."""
        own = self.plan.step(variant)
        for step in variants(self.plan):
            alike = own.parameters.keys() & step.parameters.keys()
            same = all(own.parameters[key] == step.parameters[key] for key in alike)
            if (
                step.image == own.image
                and step.run != own.run
                and alike
                and same
                and step.parameters.get("exclude") == []
            ):
                return step.output
        return ""

    def passes(self) -> dict[str, list[Timings]]:
        """Of each image, what its latency stage wrote, in the order of the turns."""
        found: dict[str, list[Timings]] = {}
        for step in self.plan.steps:
            path = self.path(step.output) if step.run == "latency" else None
            if path is not None:
                found.setdefault(step.image, []).append(read(Timings, path / "samples.json"))
        return found

    def cold(self) -> dict[str, Cold]:
        """Of each variant, the median cold start."""
        found: dict[str, Cold] = {}
        for step in self.plan.steps:
            path = self.path(step.output) if step.run == "startup" else None
            if path is not None:
                starts = json.loads((path / "starts.json").read_text())
                found |= {name: metrics.middle([Start(**start) for start in all_of]) for name, all_of in starts.items()}
        return found

    def fingerprint(self, experiment: Experiment) -> str:
        """One digest of all that a comparison is made from: what is on the volume, the experiment, our own code."""
        states = {step.output: self.freshness.state(step) for step in self.plan.steps}
        failures = [asdict(failure) for step in self.plan.steps if (failure := self.recorded(step.output))]
        own = store.tree_hash("shared", "driver")
        everything = [self.digests(), states, failures, asdict(experiment), own, host.describe()]
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()

    def digests(self) -> dict[str, str]:
        """The digest of each artifact and input that is up to date."""
        names = sorted(self.plan.locations)  # a plan that was read has another order than one that was made
        seals = {name: self.freshness.current(name) for name in names}
        return {name: store.digest(seal) for name, seal in seals.items() if seal is not None}


def problem(predictions_folder: Path, count: int | None) -> str:
    """Why the arrays in the folder are not answers to `count` samples; "" where they are."""
    try:
        arrays = tuple(map(samples.mapped, predictions.outputs(predictions_folder)))
    except (OSError, ValueError) as error:
        return f"its predictions can't be read: {printable(str(error))}"
    for array in arrays:
        if array.dtype != np.float32 or not array.ndim or len(array) != count:
            return f"its predictions are {array.dtype} {array.shape}, which are no answers to {count} samples"
        if not all(np.isfinite(block).all() for block in blocks(array)):
            return "its predictions have NaN or infinity"
    return "" if arrays else "its predictions are empty"


def variants(plan: Plan) -> list[Step]:
    """The steps that make a variant: those whose predictions are made too. Float ones come first; no further draws."""
    outputs = {step.output for step in plan.steps}
    found = [step for step in plan.steps if f"predictions.{step.output}" in outputs and not step.draw]
    return sorted(found, key=lambda step: recipe(step) != "fp32")


def recipe(step: Step) -> str:
    return step.output.removeprefix(f"{step.image}.")


def direct_requirements(image: str) -> set[str]:
    """Names of the packages that the image's requirements.in asks for."""
    lines = (store.ROOT / "images" / image / "requirements.in").read_text().splitlines()
    return {line.split("==")[0].strip() for line in lines if line and not line.startswith("#")}


def normalized(name: str) -> str:
    """A package's name as the index compares it (PEP 503): the installed one may be spelt otherwise."""
    return re.sub(r"[-_.]+", "-", name).lower()
