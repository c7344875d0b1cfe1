"""What the volume holds for a comparison: manifests, predictions, timings. Only what is up to date counts."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from driver.analysis import fingerprint, stage_outputs, timing_summary
from driver.analysis.results import Cold
from driver.analysis.stage_outputs import ExcludedLayers, Unusable
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Failure, Manifest, Plan, Status, Step, read_if_whole, shown
from shared.data import samples
from shared.data.samples import About, Array, Batch, Indices
from shared.emulation import emulation
from shared.measure import predictions
from shared.measure.timing import Timings
from shared.quantization.layer_search import EXCLUDED
from shared.sensitivity import layer_errors

LABELS = {"dataset": "labels", "selection": "selection.labels"}
PREDICTIONS = "predictions."
SAMPLES = (*LABELS, "calibration")  # the artifacts of which samples are read


class Evidence:
    """Reads the artifacts that are up to date and as their stages declare them, and only those.

    Each is looked at once (driver/analysis/stage_outputs.py): one that isn't as declared has no path, as if it weren't
    there, and `problem` says why. That is its row's reason, or a failure of its own.
    """

    def __init__(self, freshness: Freshness) -> None:
        self.plan, self.freshness = freshness.plan, freshness
        self.steps = {step.output: step for step in self.plan.steps}
        self._problems: dict[str, str] = {}
        # Each manifest as it is read, and safe to show: it is read many times.
        self._shown: dict[str, tuple[Manifest, Manifest]] = {}
        self._contents: dict[str, dict[str, Any]] = {}

    def path(self, name: str) -> Path | None:
        usable = self.manifest(name) is not None and not self.problem(name)
        return store.artifact_path(self.plan, name) if usable else None

    def content(self, name: str, file: str) -> Any:
        """What a file of JSON in the artifact holds; None where there is no such file or artifact."""
        return self._contents[name].get(file) if self.path(name) is not None else None

    def problem(self, name: str) -> str:
        """Why the artifact isn't as its stage declares it; "" where it is, and where nothing is."""
        manifest = self.manifest(name)
        if manifest is not None and name not in self._problems:
            self._problems[name] = ""
            try:
                self._contents[name] = stage_outputs.read_contents(store.artifact_path(self.plan, name), manifest.files)
                self._check(name, manifest.files)
            except Unusable as error:
                run = "predict" if name.startswith(PREDICTIONS) else self.steps[name].run if name in self.steps else ""
                self._problems[name] = stage_outputs.describe_problem(run, error, self.command("--force", name))
        return self._problems.get(name, "") if manifest is not None else ""

    def _check(self, name: str, files: Collection[str]) -> None:
        """Unusable where the content of the artifact says what it can't say."""
        folder, contents = store.artifact_path(self.plan, name), self._contents[name]
        run = self.steps[name].run if name in self.steps else ""
        if (needed := stage_outputs.NEEDED.get(run)) and needed not in contents:
            raise Unusable(f"{needed} is missing")
        stage_outputs.check_notes(contents.get(stage_outputs.NOTES, ()))
        stage_outputs.check_samples(folder, files, needed=name in SAMPLES)
        if name in LABELS.values():
            labelled = next(samples_of for samples_of, labels in LABELS.items() if labels == name)
            stage_outputs.check_labels(folder, files, self._count(labelled))
            stage_outputs.check_groups(samples.groups(folder), self._count(labelled))
        elif name.startswith(PREDICTIONS):
            stage_outputs.check_answers(folder, files, self._count(self.steps[name].inputs[1]))
        elif run == "latency":
            stage_outputs.check_timings(contents[stage_outputs.TIMINGS], self._own(name))
        elif run == "explain":
            stage_outputs.check_layers(contents[layer_errors.FILE])
        elif run == "startup":
            stage_outputs.check_starts(contents[stage_outputs.STARTS], self._own(name))
        elif run == "emulate":
            here = self.outputs(self.steps[name].inputs[0])
            own = None if here is None else stage_outputs.select_evaluated_output(here, self.about())
            stage_outputs.check_emulated(folder, files, contents[emulation.SUMMARY], own)

    def _count(self, artifact: str) -> int | None:
        """Of the samples in it."""
        path = self.path(artifact)
        return samples.count(path) if path else None

    def _own(self, name: str) -> set[str]:
        """The variants of the image that made the artifact."""
        image = self.steps[name].image
        return {step.output for step in self.plan.steps if step.image == image and self.answered(step.output)}

    def answered(self, name: str) -> bool:
        """Is it a variant, of which predictions are made?"""
        return PREDICTIONS + name in self.steps

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
        } | self._describe_groups()

    def _describe_groups(self) -> dict[str, int]:
        """How many groups the test samples are in, where they are in any."""
        groups = self.groups()
        return {} if groups is None else {"groups": len(np.unique(groups))}

    def about(self) -> About:
        """What the test samples are; the defaults where there are none."""
        path = self.path("dataset")
        return samples.about(path) if path else About()

    def manifest(self, name: str) -> Manifest | None:
        """Of an artifact that is there, up to date and no refusal; None also where the plan has no such artifact."""
        manifest = self.current(name)
        return manifest if manifest is not None and manifest.status == "ok" else None

    def current(self, name: str) -> Manifest | None:
        """The same of a refusal too. Its texts are safe to show."""
        manifest = self.freshness.current(name) if name in self.plan.locations else None
        if manifest is None:
            return None
        if name not in self._shown or self._shown[name][0] is not manifest:
            self._shown[name] = manifest, shown(manifest)
        return self._shown[name][1]

    def labels(self, artifact: str = "dataset", output: int | None = None) -> Array | None:
        """Those of the samples in `artifact`: the test set's and the selection set's lie apart from the samples.

        They are for the evaluated output, or for another one by its number.
        """
        path = self.path(self.labelled_by(artifact))
        return samples.labels(path, output) if path else None

    def groups(self, artifact: str = "dataset") -> Indices | None:
        """The groups of the samples in `artifact`; None where each sample stands for itself."""
        path = self.path(self.labelled_by(artifact))
        return samples.groups(path) if path else None

    @staticmethod
    def labelled_by(artifact: str) -> str:
        """The artifact that has the labels of the samples in `artifact`."""
        return LABELS.get(artifact, artifact)

    def test_inputs(self) -> Batch | None:
        """As they are stored, mapped: an array an input of the model."""
        path = self.path("dataset")
        return tuple(map(samples.mapped, samples.inputs(path))) if path else None

    def outputs(self, variant: str) -> Batch | None:
        """The raw answers, mapped: an array an output of the model. None where there are none that can be evaluated."""
        path = self.path(PREDICTIONS + variant)
        return None if path is None or self.problem(variant) else self._mapped(path)

    @staticmethod
    def _mapped(path: Path) -> Batch:
        return tuple(map(samples.mapped, predictions.outputs(path)))

    def status(self, step: Step) -> tuple[Status, str]:
        """Of the variant itself, or of its predictions if only they went wrong."""
        for name in (step.output, f"predictions.{step.output}"):
            manifest = self.current(name)
            if manifest is None:
                failure = self.failure(name)
                return failure.status, f"{name}: {failure.reason}"
            if manifest.status == "unsupported":
                return "unsupported", manifest.reason
            if reason := self.problem(name):
                return "failed", reason
        return "ok", ""

    def failures(self) -> tuple[Failure, ...]:
        """What no row tells: stages that make no variant and no predictions, such as latency, and have no result."""
        shown_in_rows = {name for step in variants(self.plan) for name in (step.output, f"predictions.{step.output}")}
        others = [step for step in self.plan.steps if step.output not in shown_in_rows]
        lacking = [
            step.output
            for step in others
            if (step.default and not self.freshness.done(step)) or self.problem(step.output)
        ]
        return tuple(self.failure(name) for name in lacking)

    def failure(self, name: str) -> Failure:
        """Why `name` has no result."""
        if reason := self.problem(name):
            return Failure(name, "failed", reason)
        unknown = f"missing or out of date: run `{self.command(name)}`"
        return fingerprint.read_failure(self.plan, name) or Failure(name, "skipped", unknown)

    def command(self, *arguments: str) -> str:
        return fingerprint.make_command(self.plan, *arguments)

    def replaced(self) -> str:
        """An artifact that was made anew since it was read here; "" where there is none."""
        for name in self.plan.locations:
            manifest = self.freshness.current(name)
            if (
                manifest is not None
                and read_if_whole(Manifest, store.artifact_path(self.plan, name) / store.MANIFEST) != manifest
            ):
                return name
        return ""

    def versions(self) -> dict[str, dict[str, str]]:
        """Per image, what its requirements name, as installed where its artifacts were made."""
        by_image: dict[str, dict[str, str]] = {}
        for step in variants(self.plan):
            manifest = self.freshness.current(step.output)
            if manifest is not None and step.image not in by_image:
                installed = self.installed(step.output)
                named = sorted(direct_requirements(step.image))
                by_image[step.image] = {name: installed.get(normalized(name), "unknown") for name in named}
        return by_image

    def installed(self, name: str) -> dict[str, str]:
        """Versions of the packages that `name` was made with, by their normalized names."""
        manifest = self.current(name)
        return {normalized(package): version for package, version in manifest.versions.items()} if manifest else {}

    def in_float(self, variant: str) -> tuple[tuple[str, ...], bool | None]:
        """The layers that `exclude: auto` left in float, and whether its limit holds."""
        excluded: ExcludedLayers | None = self.content(variant, EXCLUDED)
        return (excluded.layers, excluded.holds) if excluded else ((), None)

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
        by_image: dict[str, list[Timings]] = {}
        for step in self.plan.steps:
            timings = self.content(step.output, stage_outputs.TIMINGS) if step.run == "latency" else None
            if timings is not None:
                by_image.setdefault(step.image, []).append(timings)
        return by_image

    def cold(self) -> dict[str, Cold]:
        """Of each variant, the median cold start."""
        by_variant: dict[str, Cold] = {}
        for step in self.plan.steps:
            starts = self.content(step.output, stage_outputs.STARTS) if step.run == "startup" else None
            by_variant |= {name: timing_summary.pick_median_start(all_of) for name, all_of in (starts or {}).items()}
        return by_variant


def variants(plan: Plan) -> list[Step]:
    """The steps that make a variant: those whose predictions are made too. Float ones come first; no further draws."""
    outputs = {step.output for step in plan.steps}
    steps = [step for step in plan.steps if f"predictions.{step.output}" in outputs and not step.draw]
    return sorted(steps, key=lambda step: recipe(step) != "fp32")


def recipe(step: Step) -> str:
    return step.output.removeprefix(f"{step.image}.")


def direct_requirements(image: str) -> set[str]:
    """Names of the packages that the image's requirements.in asks for."""
    lines = (store.ROOT / "images" / image / "requirements.in").read_text().splitlines()
    return {line.split("==")[0].strip() for line in lines if line and not line.startswith("#")}


def normalized(name: str) -> str:
    """A package's name as the index compares it (PEP 503): the installed one may be spelt otherwise."""
    return re.sub(r"[-_.]+", "-", name).lower()
