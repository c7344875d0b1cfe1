"""The comparison alone: how long it takes, and how much memory, for many variants of a model with many classes.

`python -m benchmarks.comparison` writes the predictions of 100 ONNX Runtime variants for 10,000 samples of 1,000
classes (4 GB) to a temporary volume, as the stages would leave them, and runs `report` on them in a process of its own.
No framework is started. `--folder DIR` has the volume elsewhere than in the folder for temporary files, `--small` is 6
variants, 300 samples and 10 classes. Exit code 2: something has to be fixed first.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks import small
from driver.catalog import declarations
from driver.experiment import loader
from driver.experiment.model import Experiment
from driver.plan import schedule
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.command import DEFAULT_EXPERIMENT
from shared.contract import MANIFEST_SCHEMA, Manifest, Plan, encode
from shared.errors import CrossquantError

NAME = "comparison"
INPUTS = {"input.model": "inputs/models/comparison", "input.dataset": "inputs/comparison"}
DIFFERENT = 0.02  # of the samples: a variant answers them otherwise than the float model
ENDS = (0, 1, 3)  # exit codes; 3: the comparison has no latencies
Array = NDArray[Any]


@dataclass(frozen=True)
class Size:
    variants: int
    samples: int
    classes: int


FULL, SMALL = Size(100, 10_000, 1_000), Size(6, 300, 10)


def make_experiment(size: Size, folder: Path) -> tuple[Path, Experiment]:
    """The default experiment with `size.variants` recipes of ONNX Runtime, no others; its file is in `folder`."""
    document = yaml.safe_load(loader.find(DEFAULT_EXPERIMENT).read_text())
    for key in ("targets", "recommended", "gates"):
        document.pop(key, None)
    document["name"] = NAME
    document["recipes"] = {
        "onnx": {
            f"r{number:03}": {"percentile": 99 + number / 200, "calibrate": "percentile"}
            for number in range(size.variants)
        }
    }
    file = folder / f"{NAME}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file, loader.load(file, declarations.load())


class Volume:
    """Artifacts as the stages leave them, for the experiment's plan."""

    def __init__(self, experiment: Experiment) -> None:
        self.plan: Plan = schedule.make(experiment, declarations.load(), INPUTS, 2)
        self.freshness = Freshness(self.plan)
        store.write_atomically(store.plan_path(experiment.name), encode(self.plan))

    def publish(self, name: str, files: Mapping[str, Array | bytes]) -> None:
        """Publish the artifact: arrays as .npy files, bytes as they are."""
        step = next((step for step in self.plan.steps if step.output == name), None)
        path = store.artifact_path(self.plan, name)
        manifest = Manifest(
            schema=MANIFEST_SCHEMA,
            name=name,
            status="ok",
            reason="",
            files={},
            inputs=self.freshness.inputs(step).digests if step else {},
            code=step.code if step else "",
            parameters=step.parameters if step else {},
            versions={},
            image_id="",
            seconds=1.0,
            peak_bytes=1,
        )
        with store.temporary(path) as folder:
            for file, content in files.items():
                if isinstance(content, bytes):
                    (folder / file).write_bytes(content)
                else:
                    np.save(folder / file, content)
            store.publish(folder, path, replace(manifest, files=store.list_files(folder)))
        self.freshness.forget()


def write_volume(experiment: Experiment, size: Size) -> None:
    """Publish what the comparison reads: samples, labels, each variant and its predictions."""
    random = np.random.default_rng(0)
    labels = random.integers(0, size.classes, size.samples)
    logits = random.normal(0, 1, (size.samples, size.classes)).astype(np.float32)
    logits[np.arange(size.samples), labels] += 4
    volume = Volume(experiment)
    volume.publish("input.model", {"model.keras": b"weights"})
    volume.publish("input.dataset", {"about.json": b'{"name": "comparison", "sample": false}'})
    about = b'{"name": "comparison", "sample": false}'
    volume.publish("dataset", {"input_0.npy": np.zeros((size.samples, 2, 2, 3), np.uint8), "about.json": about})
    volume.publish("labels", {"labels.npy": labels.astype(np.int64)})
    volume.publish("calibration", {"input_0.npy": np.zeros((2, 2, 2, 3), np.float32)})
    recipes = [f"onnx.{name}" for name in experiment.recipes["onnx"]]
    for name in ("keras.fp32", "exported", "onnx.fp32", "torch.fp32", *recipes):
        volume.publish(name, {"model.bin": b"x" * 1000})
        if name != "exported":
            answers = predict(logits, random, quantized=name in recipes)
            volume.publish(f"predictions.{name}", {"output_0.npy": answers})


def predict(logits: Array, random: np.random.Generator, *, quantized: bool) -> Array:
    """Probabilities, (samples, classes) float32; of a quantized variant a share of DIFFERENT has logits of its own."""
    own = logits
    if quantized:
        rows = random.choice(len(logits), max(1, round(DIFFERENT * len(logits))), replace=False)
        own = logits.copy()
        own[rows] = random.normal(0, 2, (len(rows), logits.shape[1]))
    weights = np.exp(own - own.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def measure(folder: Path, file: Path) -> tuple[float, float]:
    """Seconds of `report`, and of the same again, in which nothing is to be compared."""
    shutil.rmtree(folder / NAME / "comparison", ignore_errors=True)
    times = []
    for _ in range(2):
        started = time.perf_counter()
        small.drive(folder, "report", "--experiment", str(file), exit_codes=ENDS)
        times.append(time.perf_counter() - started)
    return times[0], times[1]


def run(size: Size, parent: Path | None, rounds: int) -> None:
    """Print the table. CrossquantError where `report` fails."""
    with tempfile.TemporaryDirectory(dir=parent) as temporary:
        folder = Path(temporary) / "volumes"
        folder.mkdir()
        with small.on_volume(folder):
            file, experiment = make_experiment(size, Path(temporary))
            write_volume(experiment, size)
        times = [measure(folder, file) for _ in range(rounds)]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print("| variants | samples | classes | compared, seconds | nothing to compare, seconds | peak, MB |")
    print("|---|---|---|---|---|---|")
    columns = (f"{sorted(column)[rounds // 2]:.2f}" for column in zip(*times, strict=True))
    print(f"| {size.variants} | {size.samples} | {size.classes} | {' | '.join(columns)} | {peak:.0f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--small", action="store_true", help="a small volume: the same code, and times that say nothing"
    )
    parser.add_argument("--folder", type=Path, help="where the temporary volume is to lie")
    parser.add_argument("--rounds", type=int, default=3, help="how often it is measured; the median is printed")
    arguments = parser.parse_args()
    try:
        run(SMALL if arguments.small else FULL, arguments.folder, 1 if arguments.small else arguments.rounds)
    except CrossquantError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
