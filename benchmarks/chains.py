"""The two ways to the same predictions: the driver's run, and three bare scripts one after the other."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driver.catalog import declarations
from driver.engines import available_images, venv
from driver.experiment.model import Experiment
from driver.host import facts, probes
from driver.inputs import fetching
from driver.plan import schedule
from shared.artifacts import store
from shared.command import COMMAND
from shared.contract import Plan
from shared.errors import CrossquantError
from shared.measure import predictions

IMAGES = ("keras", "onnx", "torch")
FOLDER = Path(__file__).parent
WORK = "work.json"  # what the bare scripts are told: the plan's parameters of each step that they make
ALIKE = 0.99  # of the test images have the same top-1, in rows that need not be equal


@dataclass(frozen=True)
class Setting:
    """What is measured, and the temporary folders that it is measured in: a volume for each engine."""

    engine: str
    file: Path
    chosen: Experiment
    volumes: Path
    bare: Path

    @property
    def folder(self) -> Path:
        return self.volumes / self.chosen.name

    def input(self, name: str) -> Path:
        return self.volumes / fetching.list_locations(self.chosen, sample=False)[name]


@dataclass(frozen=True)
class Compared:
    """One row's answers by both chains. `exact` if they must be equal; `changed` counts images with another top-1."""

    name: str
    exact: bool
    images: int
    changed: int
    difference: float

    @property
    def good(self) -> bool:
        """Is it as it must be?"""
        return self.difference == 0 if self.exact else self.changed <= (1 - ALIKE) * self.images


def planned(chosen: Experiment) -> Plan:
    return schedule.make(chosen, declarations.load(), fetching.list_locations(chosen, sample=False), facts.cores())


def check(chosen: Experiment, engines: Sequence[str], source: Path) -> None:
    """CrossquantError where there is nothing to measure, or something else than the bare scripts do.

    `source` is the volume that holds the fetched inputs.
    """
    if chosen.own_data or chosen.model.start != "keras" or chosen.draws != 1 or chosen.split != "test":
        raise CrossquantError(f"'{chosen.name}': the bare scripts take a Keras model, CIFAR-10 and one draw alone")
    for image in ("onnx", "torch"):
        if not chosen.recipes.get(image):
            raise CrossquantError(f"'{chosen.name}' has no recipe of {image}: there is nothing to compare")
    for place in fetching.list_locations(chosen, sample=False).values():
        if not (source / place / store.MANIFEST).exists():
            raise CrossquantError(
                f"{source / place} is missing: run `{COMMAND} fetch --experiment {chosen.name}` first"
            )
    if "docker" in engines:
        check_images()


def check_images() -> None:
    client = probes.connect()
    if client is None:
        raise CrossquantError("no Docker daemon answers: start it, or --engine venv")
    for image in IMAGES:
        if not probes.has_image(client, f"crossquant-{image}"):
            raise CrossquantError(f"image 'crossquant-{image}' is not built: run `docker compose build`")


def check_recipes(chosen: Experiment, folder: Path) -> None:
    """CrossquantError names the recipe that a bare script has no words for, before anything is measured."""
    file = write_work(chosen, folder)
    for image in ("onnx", "torch"):
        done = subprocess.run(
            [python(image), FOLDER / f"bare_{image}.py", file],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CrossquantError(f"the bare scripts don't make every row: {last_line(done.stderr)}")


def write_work(chosen: Experiment, folder: Path) -> Path:
    """What the bare scripts are to do, from the plan of the experiment: they can't drift from its recipes unseen."""
    path = folder / WORK
    path.write_text(json.dumps(work(planned(chosen))))
    return path


def work(made: Plan) -> dict[str, Any]:
    recipes: dict[str, dict[str, Any]] = {"onnx": {}, "torch": {}}
    for step in made.steps:
        image, _, name = step.output.partition(".")
        if step.image == image and name != "fp32":
            if step.run != "quantize":
                raise CrossquantError(f"the bare scripts don't make every row: {step.output} is made by '{step.run}'")
            recipes[image][name] = step.parameters
    return {
        "threads": made.threads,
        "calibration": made.step("calibration").parameters,
        "opset": made.step("exported").parameters["opset"],
        "batch_size": made.step("predictions.keras.fp32").parameters["batch_size"],
        "recipes": recipes,
    }


def same_targets(setting: Setting) -> list[str]:
    """What the bare scripts make: the predictions of every variant."""
    return [step.output for step in planned(setting.chosen).steps if step.run == "predict"]


def copy_inputs(setting: Setting, source: Path) -> None:
    """The fetched inputs, on a volume that holds nothing else. Links where both lie on one disk."""
    for place in fetching.list_locations(setting.chosen, sample=False).values():
        for path in (source / place).iterdir():
            target = setting.volumes / place / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)


def drive_same_work(setting: Setting) -> float:
    """Seconds of `./crossquant run` for what the bare scripts do, and no more."""
    return drive(setting, same_targets(setting))


def drive(setting: Setting, targets: Sequence[str] = ()) -> float:
    """Seconds of `./crossquant run`, as a user types it, without the optional images that happen to be built.

    A gate that fails is a result like any other.
    """
    chosen = ["--engine", setting.engine, "--experiment", str(setting.file)]
    command = [sys.executable, "-m", "driver", "run", *targets, *chosen]
    variables = {"CROSSQUANT_VOLUMES": str(setting.volumes), "TMPDIR": str(setting.volumes.parent)}
    variables |= {available_images.PREFIX + name.upper(): "0" for name in declarations.list_optional()}
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=store.ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode > 1:
        raise CrossquantError(f"`driver run` ended with {done.returncode}: {last_line(done.stderr or done.stdout)}")
    return seconds


def walk(setting: Setting) -> float | None:
    """Seconds of the three bare scripts in a row; None, and a word about it, where one of them dies."""
    empty(setting.bare)
    started = time.perf_counter()
    for image in IMAGES:
        process = script(setting, image)
        _, error_text = process.communicate()
        if process.returncode:
            print(f"bare_{image}.py died ({process.returncode}): {last_line(error_text)}", file=sys.stderr)
            return None
    return time.perf_counter() - started


def script(setting: Setting, image: str) -> "subprocess.Popen[str]":
    """The image's bare script, started in the image's environment, on as many CPUs as the experiment allows."""
    arguments = [write_work(setting.chosen, setting.bare), setting.input("input.dataset"), setting.bare]
    if image == "keras":
        arguments += [path for path in setting.input("input.model").iterdir() if path.name != store.MANIFEST]
    process = subprocess.Popen(
        [python(image), FOLDER / f"bare_{image}.py", *arguments],
        cwd=setting.bare,
        env={**os.environ, "TMPDIR": str(setting.bare)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.sched_setaffinity(process.pid, facts.cpus()[: setting.chosen.limits.cpus])
    return process


def python(image: str) -> Path:
    return venv.FOLDER / image / "bin" / "python"


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]


def compared(setting: Setting) -> list[Compared]:
    """Every row's answers by the driver beside the scripts'. CrossquantError where they did not make the same rows."""
    ours = {path.parent.name: path for path in setting.folder.glob(f"*/predictions.*/{predictions.file(0)}")}
    theirs = {path.stem: path for path in setting.bare.glob("predictions.*.npy")}
    for who, alone in (("driver", ours.keys() - theirs.keys()), ("bare scripts", theirs.keys() - ours.keys())):
        if alone:
            names = ", ".join(sorted(alone))
            raise CrossquantError(f"only the {who} made {names}: the times would be of different work")
    return list(rows(ours, theirs, inexact(planned(setting.chosen))))


def rows(ours: dict[str, Path], theirs: dict[str, Path], other: set[str]) -> Iterator[Compared]:
    for name, path in ours.items():
        own, bare = np.load(path), np.load(theirs[name])
        if own.shape != bare.shape:
            raise CrossquantError(f"{name}: the driver answers {own.shape}, the bare scripts {bare.shape}")
        changed = int((own.argmax(axis=1) != bare.argmax(axis=1)).sum())
        variant = name.removeprefix("predictions.")
        yield Compared(variant, variant not in other, len(own), changed, float(np.abs(own - bare).max()))


def inexact(made: Plan) -> set[str]:
    """The rows that need not be equal: those that ONNX Runtime quantizes.

    Its own calibrator runs the graph unoptimized, ours optimized: ranges differ in their last bits, and answers by a
    step. For a percentile it also counts in other bins (images/onnx/quantize/histogram.py).
    """
    return {step.output for step in made.steps if step.image == "onnx" and step.run == "quantize"}
