"""Volumes written by hand: artifacts and failures as the stages would leave them, with numbers of the test's."""

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from null_image import pictures

from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation
from driver.catalog import declarations
from driver.catalog.declarations import Catalog, Option, Stage
from driver.experiment import loader
from driver.experiment.model import Experiment
from driver.plan import schedule
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.command import DEFAULT_EXPERIMENT
from shared.contract import MANIFEST_SCHEMA, Failure, Manifest, Plan, Step, encode
from shared.emulation import emulation
from shared.measure.machine import Machine
from shared.measure.timing import REPEAT_SUFFIX, Samples, Timings, choose_repeats
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Sensitivity

CLASSES = 10
LABELS = np.tile(np.arange(CLASSES, dtype=np.uint8), 10)
ORDER = (
    "keras.fp32",
    "onnx.fp32",
    "torch.fp32",
    "onnx.int8",
    "onnx.uint8",
    "onnx.u8s8",
    "torch.int8",
    "torch.x86",
    "torch.uint8",
)
FEW = {
    "onnx": {
        "int8": {"activation": "int8", "weight": "int8"},
        "uint8": {"activation": "uint8", "weight": "uint8"},
        "u8s8": {"activation": "uint8", "weight": "int8", "per_channel": True},
    },
    "torch": {
        "int8": {"backend": "fbgemm"},
        "x86": {"backend": "x86"},
        "uint8": {"backend": "fbgemm", "weight": "quint8"},
    },
}
INPUTS = {"input.model": "inputs/models/resnet8-cifar10", "input.dataset": "inputs/cifar10"}
START = {"imported": 0.5, "loaded": 0.75, "answered": 1.0, "peak_bytes": 1 << 20}
Rounds = Sequence[Sequence[float]]
SINGLE, MANY = ((0.001, 0.002),), ((0.1,),)  # seconds of each call, in one round
BATCH = 50
EXTRA = (
    Stage("emulate", "emulation.{variant}", ("{variant}", "dataset"), default=False, options={"cpus": Option([])}),
    Stage("explain", "explain.{variant}", ("{variant}", "onnx.fp32", "calibration"), default=False),
)
SELECTED = (LABELS + 1) % CLASSES  # labels of the selection set: none is the test image's of the same place
QUIET = Machine(started=0.0, seconds=10.0, others=0.0, steal=0.0, slowest_mhz=0.0, fastest_mhz=0.0)


def default_experiment(**changes: Any) -> Experiment:
    """The default experiment with the recipes of ORDER, and without other CPUs."""
    chosen = _loaded(path := loader.find(DEFAULT_EXPERIMENT), path.read_bytes())
    fewer = replace(
        chosen, recipes=FEW, targets=("here",), recommended=(), options={"calibration": {"images": 1000, "seed": 0}}
    )
    return replace(fewer, **changes)


@cache
def _loaded(path: Path, _content: bytes) -> Experiment:
    """The content tells whether the file is still the one that was read."""
    return loader.load(path, declarations.load())


def with_extra(found: Catalog) -> Catalog:
    """The catalog with a stage of each kind that looks at one variant closely, in each image that quantizes."""
    return {image: (*stages, *lacking(stages)) for image, stages in found.items()}


def lacking(stages: Sequence[Stage]) -> list[Stage]:
    runs = {stage.run for stage in stages}
    return [extra for extra in EXTRA if any(stage.takes_recipe for stage in stages) and extra.run not in runs]


@cache
def few() -> str:
    """The file of `default_experiment`: in volumes/inputs/ it is found before ours."""
    data = yaml.safe_load((loader.FOLDER / f"{DEFAULT_EXPERIMENT}.yaml").read_text())
    left = {key: value for key, value in data.items() if key not in ("targets", "recommended")}
    return yaml.safe_dump(left | {"recipes": FEW}, sort_keys=False)


def answers(wrong: int, sure: float = 0.91) -> np.ndarray:
    """Probabilities for LABELS whose first `wrong` rows have the next class on top."""
    top = LABELS.astype(int)
    top[:wrong] = (top[:wrong] + 1) % CLASSES
    probabilities = np.full((len(LABELS), CLASSES), (1 - sure) / (CLASSES - 1), np.float32)
    probabilities[np.arange(len(LABELS)), top] = sure
    return probabilities


def timings(
    *names: str, single: Rounds = SINGLE, many: Rounds = MANY, repeat: Rounds | None = None, **machine: float
) -> Timings:
    """What a start of an image writes: all variants alike, on one and two threads, and their A/A repeats."""
    samples = [
        Samples(name, batch, threads, repeat if name.endswith(REPEAT_SUFFIX) and repeat and batch == 1 else rounds)
        for threads in (1, 2)
        for batch, rounds in ((1, single), (BATCH, many))
        for name in (*names, *(name + REPEAT_SUFFIX for name in choose_repeats(names)))
    ]
    return Timings(replace(QUIET, **machine), tuple(samples))


def make_plan(chosen: Experiment, stages: Catalog) -> Plan:
    """A plan of its own for each caller. Each is made once: hashing the code of its steps takes most of the time."""
    key = pickle.dumps((store.ROOT, chosen, stages))
    if key not in _plans:
        _plans[key] = pickle.dumps(schedule.make(chosen, stages, INPUTS, 2))
    plan: Plan = pickle.loads(_plans[key])
    return plan


_plans: dict[bytes, bytes] = {}
_whole_volumes: dict[bytes, dict[str, bytes]] = {}  # of each volume of `whole` its files: publishing takes 0.1 s


class Volume:
    """The folder of one experiment, artifact by artifact."""

    def __init__(self, chosen: Experiment, stages: Catalog | None = None) -> None:
        self.experiment = chosen
        self.plan: Plan = make_plan(chosen, stages or declarations.load())
        self.freshness = Freshness(self.plan)
        store.write_atomically(store.plan_path(chosen.name), encode(self.plan))
        store.write_atomically(store.volumes() / "inputs" / f"{DEFAULT_EXPERIMENT}.yaml", few())

    def publish(self, name: str, files: Mapping[str, Any] | None = None, refused: str = "", **changes: Any) -> None:
        """Manifest `name`; arrays are saved as .npy, all else as JSON. With `refused`, as `unsupported`."""
        final = store.artifact_path(self.plan, name)
        with store.temporary(final) as folder:
            for file, content in (files or {}).items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, np.ndarray):
                    np.save(folder / file, content)
                elif isinstance(content, bytes):
                    (folder / file).write_bytes(content)
                else:
                    (folder / file).write_text(json.dumps(content))
            store.publish(
                folder, final, replace(self._make_manifest(name, refused), files=store.list_files(folder), **changes)
            )
        self.freshness.forget()

    def _make_manifest(self, name: str, refused: str) -> Manifest:
        steps = {step.output: step for step in self.plan.steps}
        planned = steps.get(name)
        return Manifest(
            schema=MANIFEST_SCHEMA,
            name=name,
            status="unsupported" if refused else "ok",
            reason=refused,
            files={},
            inputs=self.freshness.inputs(planned).digests if planned else {},
            code=planned.code if planned else "",
            parameters=planned.parameters if planned else {},
            versions=versions(planned) if planned else {},
            image_id="",
            seconds=1.0,
            peak_bytes=1,
        )

    def fail(self, name: str, reason: str, status: str = "failed") -> None:
        store.record_failure(self.plan, Failure(name, status, reason))

    def remove(self, name: str) -> None:
        (store.artifact_path(self.plan, name) / store.MANIFEST).unlink()
        self.freshness.forget()

    def start(self, sample: bool = False) -> "Volume":
        """Everything up to the data set and the exported model; no variant but keras.fp32."""
        self.publish("input.model", {"model.keras": b"weights"})
        self.publish("input.dataset", {"about.json": {"name": "cifar10", "sample": sample}})
        self.test_set(self.samples(sample))
        self.publish("calibration", {"input_0.npy": pictures(20).astype(np.float32)})
        self.variant("keras.fp32", self.found("keras.fp32"))
        self.publish("exported", {"model.onnx": b"exported"})
        return self

    def test_set(self, files: Mapping[str, Any]) -> None:
        """The samples, and apart from them their labels."""
        self.publish("dataset", {name: content for name, content in files.items() if not name.startswith("labels")})
        self.publish("labels", {name: content for name, content in files.items() if name.startswith("labels")})

    def samples(self, sample: bool) -> dict[str, Any]:
        """The files of the test set."""
        about = {"name": "cifar10", "sample": sample}
        return {"input_0.npy": pictures(len(LABELS)), "labels.npy": LABELS, "about.json": about}

    def found(self, name: str) -> np.ndarray | tuple[np.ndarray, ...]:
        """What the variant of this name answers."""
        return answers(10)

    def variant(self, name: str, found: np.ndarray | tuple[np.ndarray, ...], size: int = 1000) -> None:
        """`found` has an array for each output of the model."""
        self.publish(name, {"model.bin": b"x" * size, "notes.txt": b"not shipped"})
        outputs = found if isinstance(found, tuple) else (found,)
        self.publish(f"predictions.{name}", {f"output_{number}.npy": each for number, each in enumerate(outputs)})

    def latency(self, image: str, *names: str, **changes: Any) -> None:
        """Each default turn of the image's timings, as of a run in which the images took turns."""
        for step in self.plan.steps:
            if (step.image, step.run) == (image, "latency") and step.default:
                measured = timings(*names, **{"started": float(self.plan.steps.index(step)), **changes})
                self.publish(step.output, {"samples.json": asdict(measured)})

    def startup(self, image: str, *names: str, starts: Sequence[Mapping[str, float]] = (START,)) -> None:
        self.publish(f"startup.{image}", {"starts.json": {name: list(starts) for name in names}})

    def further(self) -> None:
        """The further draws of the calibration set, and the selection set, which is disjoint from all of them."""
        for step in self.plan.steps:
            if step.run == "calibration" and step.draw:
                self.publish(step.output, {"input_0.npy": np.zeros((2, 2), np.float32)})
        self.publish("selection", {"input_0.npy": pictures(len(SELECTED))})
        self.publish("selection.labels", {"labels.npy": SELECTED})

    def emulate(self, name: str, indices: np.ndarray, cpus: Mapping[str, np.ndarray | str]) -> None:
        """`name` on other CPUs: of each its answers to the test images at `indices`, or why it refused."""
        runs = {cpu: emulation.Emulation(run if isinstance(run, str) else "", (), 1.0) for cpu, run in cpus.items()}
        files = {f"{cpu}/{emulation.ANSWERS}": run for cpu, run in cpus.items() if not isinstance(run, str)}
        summary = asdict(emulation.Summary(runs))
        self.publish(f"emulation.{name}", {emulation.INDICES: indices, emulation.SUMMARY: summary, **files})

    def explain(self, found: Sensitivity) -> None:
        self.publish(f"explain.{found.variant}", {layer_errors.FILE: asdict(found)})

    def whole(self, sample: bool = False) -> "Volume":
        """A run in which all went well: ten in a hundred answers are wrong, and torch refuses uint8."""
        if any(place.is_dir() for place in (store.volumes() / self.experiment.name).iterdir()):
            return self._publish_whole(sample)
        content = {name: value for name, value in vars(self).items() if name != "freshness"}
        key = pickle.dumps((type(self), content, LABELS, sample))
        if key not in _whole_volumes:
            self._publish_whole(sample)
            files = (path for path in store.volumes().rglob("*") if path.is_file())
            _whole_volumes[key] = {str(path.relative_to(store.volumes())): path.read_bytes() for path in files}
        write_files(str(store.volumes()), _whole_volumes[key])
        self.freshness.forget()
        return self

    def _publish_whole(self, sample: bool) -> "Volume":
        self.start(sample)
        for name in ORDER[1:-1]:
            self.variant(name, self.found(name))
        self.publish("torch.uint8", refused="PyTorch quantized 0 of 10")
        for image in self.plan.images:
            names = [name for name in ORDER[:-1] if name.startswith(image)]
            self.latency(image, *names)
            self.startup(image, *names)
        return self


def write_files(folder: str, files: Mapping[str, bytes]) -> None:
    """Hundreds of tests write hundreds of files: without pathlib it takes half of the time."""
    for place in sorted({os.path.dirname(name) for name in files}):  # noqa: PTH120
        os.makedirs(f"{folder}/{place}", exist_ok=True)  # noqa: PTH103
    for name, content in files.items():
        with open(f"{folder}/{name}", "wb", buffering=0) as file:  # noqa: PTH123
            file.write(content)


def versions(step: Step) -> dict[str, str]:
    """As installed in the step's image: what its requirements name, spelt otherwise, and one package more."""
    lines = (store.ROOT / "images" / step.image / "requirements.in").read_text().splitlines()
    named = [line.partition("==") for line in lines if not line.startswith("#")]
    return {name.replace("-", "_").title(): pin or "9.9" for name, _, pin in named} | {"absl-py": "2.0"}


def evaluate(volume):
    """What is on the volume, as it is now."""
    return Evaluation(Evidence(Freshness(volume.plan)), volume.experiment.reference)


RECIPES = {"onnx": {"int8": {}, "uint8": {}}}
