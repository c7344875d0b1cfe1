"""The two ways to the same predictions: the driver's run, and three bare scripts one after the other."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from driver import catalog, experiment, fetching, host, plan, probes, venv_engine
from driver.experiment import Experiment
from shared import predictions, store
from shared.errors import CrossquantError

DEFAULT = "resnet8-cifar10"  # its recipes are those of the bare scripts
IMAGES = ("keras", "onnx", "torch")
FOLDER = Path(__file__).parent
LATENCY = {"passes": 1, "rounds": 20, "calls": 20, "batch_size": 64}  # what the bare scripts time


@dataclass(frozen=True)
class Setting:
    """What is measured, and the temporary folders that it is measured in."""

    engine: str
    file: Path
    chosen: Experiment
    volumes: Path
    bare: Path

    @property
    def folder(self) -> Path:
        return self.volumes / self.chosen.name

    def input(self, name: str) -> Path:
        return self.volumes / fetching.locations(self.chosen, sample=False)[name]


def check(chosen: Experiment, engine: str) -> None:
    """CrossquantError where there is nothing to measure, or something else than the bare scripts do."""
    default = experiment.load(experiment.find(DEFAULT), catalog.load())
    if (chosen.recipes, chosen.options) != (default.recipes, default.options):
        raise CrossquantError(f"'{chosen.name}' has other settings than '{default.name}': the bare scripts have those")
    for place in fetching.locations(chosen, sample=False).values():
        if not (store.volumes() / place / store.SEAL).exists():
            raise CrossquantError(f"{store.volumes() / place} is missing: run `python -m driver fetch` first")
    if engine == "docker":
        check_images()


def check_images() -> None:
    client = probes.connect()
    if client is None:
        raise CrossquantError("no Docker daemon answers: start it, or --engine venv")
    for image in IMAGES:
        if not probes.has_image(client, f"crossquant-{image}"):
            raise CrossquantError(f"image 'crossquant-{image}' is not built: run `docker compose build`")


def same_work_file(setting: Setting) -> Path:
    """The experiment with as many timings as the bare scripts take."""
    path = setting.volumes / "same-work.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(setting.file.read_text()), "latency": LATENCY}))
    return path


def same_targets(setting: Setting) -> list[str]:
    """What the bare scripts make: predictions and timings of every variant."""
    made = plan.make(setting.chosen, catalog.load(), fetching.locations(setting.chosen, sample=False), host.cores())
    return [step.output for step in made.steps if step.run in ("predict", "latency") and step.turn == 1]


def copy_inputs(setting: Setting) -> None:
    """The fetched inputs, on a volume that holds nothing else. Links where both lie on one disk."""
    for place in fetching.locations(setting.chosen, sample=False).values():
        for path in (store.volumes() / place).iterdir():
            target = setting.volumes / place / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)


def drive_same_work(setting: Setting) -> float:
    """Seconds of `python -m driver run` for what the bare scripts do, and no more."""
    return drive(setting, same_work_file(setting), same_targets(setting))


def drive(setting: Setting, file: Path | None = None, targets: Sequence[str] = ()) -> float:
    """Seconds of `python -m driver run`, as a user types it. A gate that fails is a result like any other."""
    chosen = ["--engine", setting.engine, "--experiment", str(file or setting.file)]
    command = [sys.executable, "-m", "driver", "run", *targets, *chosen]
    variables = {"CROSSQUANT_VOLUMES": str(setting.volumes), "TMPDIR": str(setting.volumes.parent)}
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
        _, said = process.communicate()
        if process.returncode:
            print(f"bare_{image}.py died ({process.returncode}): {last_line(said)}", file=sys.stderr)
            return None
    return time.perf_counter() - started


def script(setting: Setting, image: str) -> "subprocess.Popen[str]":
    """The image's bare script, started in the image's environment, on as many CPUs as the experiment allows."""
    arguments = [setting.input("input.dataset"), setting.bare]
    if image == "keras":
        files = setting.input("input.model").iterdir()
        arguments = [*(path for path in files if path.name != store.SEAL), *arguments]
    process = subprocess.Popen(
        [venv_engine.FOLDER / image / "bin" / "python", FOLDER / f"bare_{image}.py", *arguments],
        cwd=setting.bare,
        env={**os.environ, "TMPDIR": str(setting.bare)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.sched_setaffinity(process.pid, host.cpus()[: setting.chosen.limits.cpus])
    return process


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]


def same_work(setting: Setting) -> str:
    """How far the two chains' answers are apart. CrossquantError where they did not predict with the same variants."""
    ours = {path.parent.name: path for path in setting.folder.glob(f"*/predictions.*/{predictions.file(0)}")}
    theirs = {path.stem: path for path in setting.bare.glob("predictions.*.npy")}
    if ours.keys() != theirs.keys():
        names = ", ".join(sorted(ours.keys() ^ theirs.keys()))
        raise CrossquantError(f"only one of the two chains made {names}: the times would be of different work")
    apart = max(float(np.abs(np.load(path) - np.load(theirs[name])).max()) for name, path in ours.items())
    return f"Both predicted with {len(ours)} variants; the largest difference of a probability is {apart:.1e}."
