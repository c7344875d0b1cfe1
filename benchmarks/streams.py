"""A data set that is larger than memory: how much each stage takes of it, and how often an image is decoded.

`python -m benchmarks.streams --images 50000` generates the images by a user's Python file, as that of docs/your-data.md
is, and runs the driver on them, each container limited to 1.5 GB. With `--engine venv`, which needs bubblewrap, the
images lie in `.npy` files. Exit code 1: something took more, or was read twice; 2: something is to be mended first.
`--small` is 100 images.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks import small
from driver.catalog import declarations
from driver.engines import venv
from driver.experiment import loader
from driver.host import facts
from driver.inputs import fetching
from driver.plan import schedule
from shared.artifacts import store
from shared.contract import Manifest, read
from shared.errors import CrossquantError

NAME, SIDE, TRAIN = "streams", 224, 200  # pixels, training images
TEST, SMALL = 50_000, 100  # test images
MOST = 1536 << 20  # bytes
COPIES = {"docker": 1, "venv": 3}  # of the images on the disk: the user's, that on the volume, the prepared one
RECIPES = {"onnx": {"u8s8": {"activation": "uint8", "per_channel": True}}, "torch": {"x86": {"backend": "x86"}}}
SAMPLES = '''
import numpy as np

COUNTS = {{"train": {train}, "test": {test}}}
SIDE = {side}


def samples(split):
    """A window of a noisy picture for each image, no two of them alike."""
    picture = np.random.default_rng(len(split)).integers(0, 256, (2 * SIDE, 2 * SIDE, 3), dtype=np.uint8)
    for number in range(COUNTS[split]):
        row, column = divmod(number * 37 % (SIDE * SIDE), SIDE)
        yield picture[row : row + SIDE, column : column + SIDE] ^ np.uint8(number // (SIDE * SIDE)), None
        print(f"decoded {{split}} {{number}}")
'''
MODEL = """
import sys
import keras
from keras import layers

keras.utils.set_random_seed(0)
inputs = keras.Input((int(sys.argv[2]), int(sys.argv[2]), 3))
x = layers.Rescaling(1 / 255)(inputs)
for filters in (8, 16, 32, 64):
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, 2, padding="same")(x)))
outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
keras.Model(inputs, outputs).save(sys.argv[1])
"""


@dataclass(frozen=True)
class Setting:
    """The temporary folder of everything, and what was asked for."""

    folder: Path
    engine: str
    images: int
    model: str

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"

    @property
    def file(self) -> Path:
        return self.folder / f"{NAME}.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    try:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
            setting = Setting(Path(temporary), arguments.engine, arguments.images, arguments.model)
            check_space(setting)
            write(setting)
            return measure(setting)
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("--images", type=int, metavar="N", help=f"test images (default: {TEST})")
    parser.add_argument("--small", action="store_true", help=f"{SMALL} test images")
    parser.add_argument("--engine", choices=("docker", "venv"), default="docker", help="default: docker")
    parser.add_argument("--model", default="", metavar="FILE", help="of 224 × 224 × 3 (default: a small one is made)")
    parser.add_argument(
        "--folder", metavar="FOLDER", help="where there is space for the images (default: the system's)"
    )
    arguments = parser.parse_args(argv)
    arguments.images = arguments.images or (SMALL if arguments.small else TEST)
    return arguments


def check_space(setting: Setting) -> None:
    needed = COPIES[setting.engine] * (setting.images + TRAIN) * SIDE * SIDE * 3 + (1 << 30)
    free = shutil.disk_usage(setting.folder).free
    if free < needed:
        raise CrossquantError(f"{needed >> 30} GB are needed, {free >> 30} are free: take --folder or fewer --images")


def write(setting: Setting) -> None:
    """The user's model, data and experiment."""
    model = Path(setting.model).resolve() if setting.model else setting.folder / "model.keras"
    if not setting.model:
        script = setting.folder / "model.py"
        script.write_text(MODEL)
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([venv.ensure_environment("keras"), script, model, str(SIDE)], check=True, env=quiet)
    data = setting.folder / "data"
    data.mkdir()
    text = SAMPLES.format(train=TRAIN, test=setting.images, side=SIDE)
    if setting.engine == "docker":
        (data / "load_data.py").write_text(text)
    else:
        generate(text, data)
    document = {
        "name": NAME,
        "model": {"sources": [{"path": str(model)}]},
        "dataset": {"name": f"{NAME}-data", "sources": [{"path": str(data)}]},
        "data": {"kind": "python" if setting.engine == "docker" else "npz"},
        "calibration": {"images": 100},
        "recipes": RECIPES,
        "limits": {"memory": f"{MOST >> 20}m", "stage_seconds": 7200},
    }
    setting.file.write_text(yaml.safe_dump(document))


def generate(text: str, data: Path) -> None:
    """What the Python file yields, as arrays."""
    names: dict[str, object] = {"print": lambda *_: None}
    exec(text, names)  # our own text, above
    for split, count in {"train": TRAIN, "test": int(re.findall(r'"test": (\d+)', text)[0])}.items():
        shape = (count, SIDE, SIDE, 3)
        file = np.lib.format.open_memmap(data / f"x_{split}.npy", mode="w+", dtype=np.uint8, shape=shape)
        for number, (image, _) in enumerate(names["samples"](split)):  # type: ignore[operator]
            file[number] = image
        file.flush()


def measure(setting: Setting) -> int:
    chosen = loader.load(setting.file, declarations.load())
    inputs = fetching.list_locations(chosen, sample=False)
    steps = schedule.make(chosen, declarations.load(), inputs, facts.cores()).steps
    targets = [step.output for step in steps if step.run == "predict"]
    started = time.monotonic()
    run(setting, targets)
    seconds = time.monotonic() - started
    size = (setting.volumes / NAME / "keras" / "data" / "x_test_0.npy").stat().st_size
    print(f"{setting.images:,} test images of {SIDE} × {SIDE}, {size / 1e9:.1f} GB, in {seconds:.0f} s\n")
    print("| image | stage | seconds | peak resident MB |\n|---|---|---|---|")
    peaks = []
    for image, manifest in manifests(setting):
        peaks.append(manifest.peak_bytes)
        print(f"| {image} | {manifest.name} | {manifest.seconds:.1f} | {manifest.peak_bytes / (1 << 20):.0f} |")
    problems = list(faults(setting, targets, peaks))
    print("\n" + ("\n".join(problems) if problems else f"none above {MOST >> 20} MB; each image decoded once"))
    return 1 if problems else 0


def run(setting: Setting, targets: Sequence[str]) -> str:
    """What the driver prints. CrossquantError where it fails."""
    options = ("--engine", setting.engine, "--experiment", str(setting.file))
    return small.drive(setting.volumes, "run", *targets, *options, exit_codes=(0,))


def manifests(setting: Setting) -> Iterator[tuple[str, Manifest]]:
    for path in sorted((setting.volumes / NAME).glob(f"*/*/{store.MANIFEST}")):
        yield path.parent.parent.name, read(Manifest, path)


def faults(setting: Setting, targets: Sequence[str], peaks: Sequence[int]) -> Iterator[str]:
    if max(peaks) > MOST:
        yield f"a stage took {max(peaks) >> 20} MB: more than {MOST >> 20}"
    if setting.engine == "docker":
        yield from decoded_twice(setting)
    again = run(setting, targets)
    if re.search(r" ok +\d", again):
        yield "a second run made something anew"


def decoded_twice(setting: Setting) -> Iterator[str]:
    """By what the user's file printed, in the log of the one stage that runs it."""
    counts: dict[str, int] = {}
    for path in (setting.volumes / NAME).glob("*/logs/*.log"):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("decoded "):
                counts[line] = counts.get(line, 0) + 1
    if len(counts) != setting.images + TRAIN or set(counts.values()) != {1}:
        yield f"{len(counts)} images were decoded, up to {max(counts.values(), default=0)} times"


if __name__ == "__main__":
    sys.exit(main())
