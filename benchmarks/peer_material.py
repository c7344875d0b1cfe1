"""What the peers are given, and our own rows: all from the volume of an experiment that was run."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from driver.analysis import artifacts
from driver.experiment.model import Experiment
from shared.artifacts import store
from shared.command import COMMAND
from shared.contract import Manifest, Plan, read
from shared.data import samples
from shared.data.samples import draw_by_class
from shared.errors import CrossquantError

MODEL = "model.onnx"
CALIBRATION, HELD_OUT = "calibration.npy", "held-out.npz"
FLOATS = {"exported": "float, as converted", "onnx.fp32": "float, folded"}
NEEDED = (*FLOATS, "calibration", "dataset", "labels", "input.dataset")
HELD_OUT_PER_CLASS, SEED = 200, 0


@dataclass
class Row:
    """A line of the table. Either `model` is the file, or `reason` says why there is none. `name` is a folder's too."""

    name: str
    tool: str
    version: str
    recipe: str
    model: Path | None = None
    reason: str = ""


class Material:
    """The artifacts of an experiment, read for what they are, whatever the code of today would make of them."""

    def __init__(self, experiment: Experiment) -> None:
        self.again = f"run `{COMMAND} run --experiment {experiment.name}`"
        path = store.plan_path(experiment.name)
        if not path.exists():
            raise CrossquantError(f"experiment '{experiment.name}' has not been run: {self.again} first")
        self.plan: Plan = read(Plan, path)
        self.manifests = {name: self.sound(name) for name in NEEDED}

    def path(self, name: str) -> Path:
        return store.artifact_path(self.plan, name)

    def sound(self, name: str) -> Manifest:
        manifest = store.read_verified_manifest(self.path(name), name)
        if manifest is None or manifest.status != "ok":
            raise CrossquantError(f"artifact '{name}' is not on the volume: {self.again} first")
        return manifest

    def ours(self) -> list[Row]:
        """The float model twice, then a row for every recipe of the ONNX Runtime image."""
        version = "ONNX Runtime " + self.manifests["onnx.fp32"].versions["onnxruntime"]
        rows = [Row(name, name, version, words, self.path(name) / MODEL) for name, words in FLOATS.items()]
        for step in artifacts.variants(self.plan):
            if step.image == "onnx" and step.output not in FLOATS:
                rows.append(self.variant(step.output, version))
        return rows

    def variant(self, name: str, version: str) -> Row:
        manifest = store.read_verified_manifest(self.path(name), name)
        if manifest is None:
            return Row(name, name, version, "", reason=f"not on the volume: {self.again}")
        words = ", ".join(f"{key} {value}" for key, value in sorted(manifest.parameters.items()))
        if manifest.status != "ok":
            return Row(name, name, version, words, reason=manifest.reason)
        return Row(name, name, version, words, self.path(name) / MODEL)

    def write_calibration(self, target: Path) -> None:
        """The calibration images as the model takes them, float32: no peer casts what the volume has in 8 bits."""
        [images] = samples.take(self.path("calibration"), slice(None))
        np.save(target, images)

    def write_held_out(self, target: Path, per_class: int = HELD_OUT_PER_CLASS) -> None:
        """An `.npz` of training images that are not in the calibration set, float32, and their labels."""
        source = self.path("input.dataset")
        used = json.loads((self.path("calibration") / "manifest.json").read_text())["indices"]
        kept, labels = np.load(source / "train_indices.npy"), np.load(source / "y_train.npy")
        left = np.setdiff1d(kept, used)
        try:
            drawn = left[draw_by_class(labels[left], per_class, np.random.default_rng(SEED))]
        except ValueError:
            raise CrossquantError(
                "the embedded sample has too few training images to hold some out: "
                f"get the full data set with `{COMMAND} fetch`, then {self.again}"
            ) from None
        images = np.load(source / "x_train_0.npy", mmap_mode="r")[np.searchsorted(kept, drawn)]
        np.savez(target, images=images.astype(np.float32), labels=labels[drawn])
