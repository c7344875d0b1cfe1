"""Models that compute much of little: how much memory each stage takes of the 4 GB that a container has by default.

`python -m benchmarks.large` makes three models (24 M weights; a sentence encoder of 22 MB; a text recognizer of 11 MB,
with feature maps as wide as its lines) and runs everything on each: the whole run with the default recipes, and
`explain` of a variant of each framework. Exit code 1: a stage failed or took more; 2: something is to be mended first.
`--small` is the last two at a fraction of their size.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks import memory, small
from driver.engines import venv
from driver.host import facts
from shared.artifacts import store
from shared.contract import Failure, Manifest, Plan, read
from shared.errors import CrossquantError

LIMIT = 4 << 30  # bytes
TRAIN, TEST = 100, 64  # samples; those to train on calibrate
ENDS = (0, 1, 3)  # of the driver: a stage that failed is told
EXPLAINED = {"onnx": "onnx.u8s8", "torch": "torch.x86"}
MODELS = """
import sys
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)


def resnet50(side):
    model = keras.applications.ResNet50(weights=None, input_shape=(side, side, 3))
    return lifelike(model, np.random.default_rng(0).uniform(-128, 128, (4, side, side, 3)))


def encoder(steps, width, depth, heads, words):
    inputs = keras.Input((steps,), dtype="int32")
    x = layers.Embedding(words, width)(inputs)
    x = x + layers.Conv1D(width, 5, padding="same", activation="gelu")(x)  # where a word stands, by its neighbours
    for _ in range(depth):
        attended = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization()(x + attended)
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(x + y)
    return keras.Model(inputs, layers.Dense(width)(layers.GlobalAveragePooling1D()(x)))


def recognizer(height, length, width, state):
    inputs = x = keras.Input((height, length, 1))
    for factor, pool in ((1, (2, 2)), (2, (2, 2)), (4, (2, 1)), (4, (2, 1))):
        for _ in range(2):
            x = layers.Conv2D(factor * width, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(pool)(x)
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Reshape((length // 4, -1))(x)
    x = layers.Bidirectional(layers.LSTM(state, return_sequences=True))(x)
    model = keras.Model(inputs, layers.Dense(96, activation="softmax")(x))
    return lifelike(model, np.random.default_rng(0).uniform(0, 255, (4, height, length, 1)))


def lifelike(model, batch):
    "BatchNormalization with the statistics of a batch, as after training."
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    model(batch.astype("float32"), training=True)
    return model


name, path, *sizes = sys.argv[1:]
globals()[name](*map(int, sizes)).save(path)
"""


@dataclass(frozen=True)
class Model:
    """The function of MODELS that makes it, its arguments, and the shape and greatest value of a sample."""

    name: str
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    most: int
    dtype: str = "uint8"


FULL = (
    Model("resnet50", (224,), (224, 224, 3), 256),
    Model("encoder", (512, 256, 4, 8, 8000), (512,), 8000, "int32"),
    Model("recognizer", (64, 512, 64, 160), (64, 512, 1), 256),
)
SMALL = (
    Model("encoder", (64, 32, 1, 2, 100), (64,), 100, "int32"),
    Model("recognizer", (32, 64, 8, 16), (32, 64, 1), 256),
)


@dataclass(frozen=True)
class Setting:
    """One model in a folder of its own, and the engine."""

    root: Path
    engine: str
    model: Model

    @property
    def file(self) -> Path:
        return self.root / f"{self.model.name}.yaml"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def folder(self) -> Path:
        return self.volumes / self.model.name


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    models = SMALL if arguments.small else FULL
    chosen = [model for model in models if not arguments.models or model.name in arguments.models]
    try:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
            settings = [Setting(Path(root) / model.name, arguments.engine, model) for model in chosen]
            return measure(settings)
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="resnet50, encoder, recognizer (default: all)")
    parser.add_argument("--small", action="store_true", help="the encoder and the recognizer, small")
    parser.add_argument("--engine", choices=("docker", "venv"), default="docker", help="default: docker")
    parser.add_argument("--folder", metavar="FOLDER", help="where there are 5 GB of space (default: the system's)")
    return parser.parse_args(argv)


def measure(settings: Sequence[Setting]) -> int:
    stage_peaks, containers, problems = {}, {}, []
    for setting in settings:
        write(setting)
        peaks = memory.Peaks(setting)  # type: ignore[arg-type] - it looks at `folder` and `engine`
        with peaks.watched():
            problems += run(setting)
        name = setting.model.name
        stage_peaks[name] = stages(setting)
        containers[name] = {image: peak for image, peak in peaks.found.items() if image in plan(setting).images}
        problems += [
            f"{name}: {stage} of {image} took {peak >> 20} MB"
            for (image, stage), (peak, _) in stage_peaks[name].items()
            if peak > LIMIT
        ]
    print_table(stage_peaks, containers)
    print("\n" + ("\n".join(problems) if problems else f"no stage failed or took more than {LIMIT >> 20} MB"))
    return 1 if problems else 0


def write(setting: Setting) -> None:
    """The user's model, data without labels, and experiment."""
    model, data = setting.model, setting.root / "data"
    data.mkdir(parents=True)
    script = setting.root / "models.py"
    script.write_text(MODELS)
    file = setting.root / "model.keras"
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [venv.ensure_environment("keras"), script, model.name, file, *map(str, model.sizes)]
    subprocess.run(command, check=True, env=quiet)
    random = np.random.default_rng(1)
    for split, count in (("train", TRAIN), ("test", TEST)):
        np.save(data / f"x_{split}.npy", random.integers(0, model.most, (count, *model.shape)).astype(model.dtype))
    document = {
        "name": model.name,
        "model": {"sources": [{"path": str(file)}]},
        "dataset": {"name": f"{model.name}-data", "sources": [{"path": str(data)}]},
        "data": {"kind": "npz", "task": "fidelity", "dtype": [model.dtype if model.dtype == "int32" else "float32"]},
        "calibration": {"images": TRAIN},
        "recipes": "default",
        "latency": {"passes": 1, "rounds": 2, "calls": 2},
        "explain": {"images": 10},
        "limits": {"memory": f"{LIMIT >> 30}g", "stage_seconds": 7200},
    }
    setting.file.write_text(yaml.safe_dump(document))


def run(setting: Setting) -> list[str]:
    """All there is to do; what failed of it. CrossquantError where the driver doesn't get to its end."""
    for targets in ([], [f"explain.{variant}" for variant in EXPLAINED.values()]):
        options = ("--engine", setting.engine, "--experiment", str(setting.file))
        print(small.drive(setting.volumes, "run", *targets, *options, exit_codes=ENDS), file=sys.stderr)
    failures = [read(Failure, path) for path in sorted(setting.folder.glob("*/failures/*.json"))]
    return [f"{setting.model.name}: {failure.name} {failure.status}: {failure.reason}" for failure in failures]


Stages = Mapping[tuple[str, str], tuple[int, int]]  # by image and stage: the largest peak in bytes, how many refused


def plan(setting: Setting) -> Plan:
    return read(Plan, setting.folder / "plan.json")


def stages(setting: Setting) -> dict[tuple[str, str], tuple[int, int]]:
    runs = {step.output: step.run for step in plan(setting).steps}
    peaks: dict[tuple[str, str], tuple[int, int]] = {}
    for path in sorted(setting.folder.glob(f"*/*/{store.MANIFEST}")):
        manifest, image = read(Manifest, path), path.parent.parent.name
        key = (image, runs.get(manifest.name, manifest.name))
        peak, refused = peaks.get(key, (0, 0))
        peaks[key] = max(peak, manifest.peak_bytes), refused + (manifest.status == "unsupported")
    return peaks


def print_table(found: Mapping[str, Stages], containers: Mapping[str, Mapping[str, int]]) -> None:
    machine = facts.describe()
    print(f"{datetime.date.today()}, {machine['cpu']}, {machine['cores']} cores; limit {LIMIT >> 20} MB.\n")
    print(f"| image | stage | {' | '.join(f'{name}, MB' for name in found)} |")
    print(f"|---|---|{'---:|' * len(found)}")
    for image, stage in dict.fromkeys(key for stages in found.values() for key in stages):
        print(f"| {image} | {stage} | {' | '.join(cell(stages.get((image, stage))) for stages in found.values())} |")
    for image in dict.fromkeys(image for peaks in containers.values() for image in peaks):
        cells = [f"{peaks[image] >> 20}" if image in peaks else "–" for peaks in containers.values()]
        print(f"| {image} | the whole container | {' | '.join(cells)} |")


def cell(entry: tuple[int, int] | None) -> str:
    """With a note of what is refused: a recurrent layer has no 8-bit form everywhere."""
    if entry is None:
        return "–"
    peak, refused = entry
    return f"{peak >> 20}" + (f" ({refused} unsupported)" if refused else "")


if __name__ == "__main__":
    sys.exit(main())
