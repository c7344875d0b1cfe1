"""The smallest size of a benchmark: a whole data set of CIFAR-10's layout, cut from the embedded sample, on a volume of
its own, and an experiment with one pass of timings. Everything else is what the full size does.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from driver.experiment import loader
from driver.experiment.model import Experiment
from driver.inputs import embedded_sample
from shared.artifacts import store
from shared.command import DEFAULT_EXPERIMENT
from shared.errors import CrossquantError

NAME, DATA = "small", "small-data"
TEST, CALIBRATION = 300, 100  # images
BATCHES = 5  # files of training images, as CIFAR-10 has them
TIMINGS = {"passes": 1, "rounds": 2, "calls": 3}
Recipes = Mapping[str, Mapping[str, Mapping[str, Any]]]  # settings by image and name


def of(chosen: Experiment, names: Mapping[str, str]) -> Recipes:
    """One recipe of the experiment for each image. CrossquantError where it has none of that name."""
    for image, name in names.items():
        if name not in chosen.recipes.get(image, {}):
            raise CrossquantError(
                f"'{chosen.name}' has no recipe {image}.{name} any more: name another one for --small"
            )
    return {image: {name: chosen.recipes[image][name]} for image, name in names.items()}


def write(folder: Path, recipes: Recipes, **changes: Any) -> Path:
    """Put the data set onto the volume `folder`, beside it the default experiment on it with these recipes, and fetch.

    The experiment's file. It is on this CPU alone, and has no gates: a figure of so few images fails none.
    """
    arrays = data()
    (folder / "inputs").mkdir(parents=True)
    archive(arrays, folder / "inputs" / f"{NAME}.tar.gz")
    document = yaml.safe_load(loader.find(DEFAULT_EXPERIMENT).read_text())
    for key in ("targets", "recommended", "gates"):
        document.pop(key, None)
    sums = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    document |= {
        "name": NAME,
        "dataset": {"name": DATA, "sources": [{"input": f"{NAME}.tar.gz"}], "sha256": sums},
        "calibration": {"images": CALIBRATION, "seed": 0},
        "recipes": recipes,
        "latency": TIMINGS,
        **changes,
    }
    file = folder.parent / f"{NAME}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    drive(folder, "fetch", "--experiment", str(file))
    return file


def data() -> dict[str, NDArray[np.uint8]]:
    """Uint8 arrays as CIFAR-10's: 1,000 training images, as the sample has them, and its first TEST test images."""
    sample = embedded_sample.load()
    return {
        "x_train": sample["x_train"],
        "y_train": np.ascontiguousarray(sample["y_train"][sample["train_indices"]], np.uint8),
        "x_test": np.ascontiguousarray(sample["x_test"][:TEST]),
        "y_test": np.ascontiguousarray(sample["y_test"][:TEST], np.uint8),
    }


def archive(arrays: Mapping[str, NDArray[np.uint8]], path: Path) -> None:
    """The arrays as CIFAR-10's binary files: of each image the label, then the red, the green and the blue plane."""

    def records(split: str) -> NDArray[np.uint8]:
        planes = arrays[f"x_{split}"].transpose(0, 3, 1, 2)
        return np.concatenate([arrays[f"y_{split}"][:, None], planes.reshape(len(planes), -1)], axis=1)

    parts = np.array_split(records("train"), BATCHES)
    files = {f"data_batch_{number}.bin": part for number, part in enumerate(parts, start=1)}
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, part in {**files, "test_batch.bin": records("test")}.items():
            about = tarfile.TarInfo(name)
            about.size = part.nbytes
            tar.addfile(about, io.BytesIO(part.tobytes()))


def drive(volumes: Path, *arguments: str, exit_codes: Collection[int] = (0, 1)) -> str:
    """What the driver prints on this volume. CrossquantError where it fails; a gate that doesn't hold is none."""
    done = subprocess.run(
        [sys.executable, "-m", "driver", *arguments],
        cwd=store.ROOT,
        env={**os.environ, "CROSSQUANT_VOLUMES": str(volumes)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in exit_codes:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        last = next((line for line in lines if "failed" in line), lines[-1])
        raise CrossquantError(f"`driver {arguments[0]}` ended with {done.returncode}: {last}")
    return done.stdout


@contextmanager
def on_volume(folder: Path) -> Iterator[None]:
    """`folder` is the volume of this process meanwhile."""
    before = os.environ.get("CROSSQUANT_VOLUMES")
    os.environ["CROSSQUANT_VOLUMES"] = str(folder)
    try:
        yield
    finally:
        del os.environ["CROSSQUANT_VOLUMES"]
        if before is not None:
            os.environ["CROSSQUANT_VOLUMES"] = before
