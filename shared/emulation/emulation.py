"""The same file on another CPU: some test images are answered again under QEMU, which shows its guest another CPU.

Without VNNI, products of uint8 and int8 are added in pairs in 16 bits, where they saturate: same file, other answers.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html (data type selection)
"""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shared.data import mates, samples
from shared.data.samples import Array, Indices, draw_by_class
from shared.data.subset import Subset
from shared.emulation import guest
from shared.emulation.cpus import CPUS, check, python
from shared.errors import StageError, Unsupported
from shared.runner import sandbox
from shared.runner.forks import run_in_fork, signal_name
from shared.runner.progress import report

INDICES, SUMMARY, ANSWERS = "indices.npy", "cpus.json", "output.npy"
SEED = 0
RUN = 100  # samples that are shuffled among each other, where they are drawn with their mates


@dataclass(frozen=True)
class Emulation:
    """One CPU's run. `refused` is why it has no answers, in the framework's words ("" where it has).

    `int8_instructions` are those that a program finds there, by the kernel's names; `seconds` include the start.
    """

    refused: str
    int8_instructions: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Summary:
    """`cpus.json`: a run for each CPU, by its name."""

    cpus: dict[str, Emulation]


def answer(
    variant: Path, dataset: Path, labels: Path, out: Path, module: str, cpus: Sequence[str], images: int, seconds: int
) -> None:
    """Write `indices.npy`, (n,) int64: about `images` test samples in no order, or as many as each CPU answers in
    `seconds`; for each of `cpus` that can run the variant `<cpu>/output.npy`, (n, …) float32, what the evaluated output
    has for them in that order; and `cpus.json` (Summary).

    The labels choose the samples, in a process of its own, and are out of reach of what loads the variant. `module` has
    the image's `load(variant, threads)`. Unsupported where none of the CPUs can run the variant.
    """
    check(cpus)
    run_in_fork(lambda: np.save(out / INDICES, choose_samples(dataset, labels, images)))
    sandbox.hide(labels)
    runs = {}
    for turn, cpu in enumerate(cpus):
        (out / cpu).mkdir()
        files = (variant, dataset, out / INDICES, out / cpu / ANSWERS)
        runs[cpu] = emulate(cpu, [module, *map(str, files), str(seconds)], (turn, len(cpus)))
    if all(run.refused for run in runs.values()):
        raise Unsupported("; ".join(f"{cpu}: {run.refused}" for cpu, run in runs.items()))
    keep_common_samples(out, [cpu for cpu, run in runs.items() if not run.refused])
    (out / SUMMARY).write_text(json.dumps(asdict(Summary(runs))))


def keep_common_samples(out: Path, cpus: Sequence[str]) -> None:
    """Leave only the samples that each of `cpus` had the time to answer."""
    answers = {cpu: np.load(out / cpu / ANSWERS) for cpu in cpus}
    common = min(map(len, answers.values()))
    for cpu, outputs in answers.items():
        np.save(out / cpu / ANSWERS, outputs[:common])
    np.save(out / INDICES, np.load(out / INDICES)[:common])


def choose_samples(dataset: Path, labels: Path, images: int) -> Indices:
    """Return the indices of about `images` samples: the same number of each class, or evenly spaced, or with mates.

    They are shuffled: the first ones must stand for all where the time is too short. Mates stay near each other, and no
    order tells them.
    """
    classes, about = samples.labels(labels), samples.about(dataset)
    units = mates.number_units(about, classes)
    if units is not None:
        drawn, random = mates.draw_with_mates(units, images, np.random.default_rng(SEED)), np.random.default_rng(SEED)
        runs = range(0, len(drawn), RUN)
        return np.concatenate([random.permutation(drawn[start : start + RUN]) for start in runs])
    if classes is not None and about.task == "classification":
        chosen = subset(classes, images)
    else:
        chosen = Subset(dataset, images).positions
    return np.random.default_rng(SEED).permutation(chosen)


def subset(labels: Array, images: int) -> Indices:
    """Sorted indices of the same number of images of each class, always the same ones: `images` in all, or the next
    smaller number that can be had.
    """
    _, sizes = np.unique(labels, return_counts=True)
    per_class = min(max(1, images // len(sizes)), int(sizes.min()))
    return draw_by_class(labels, per_class, np.random.default_rng(SEED))


def emulate(cpu: str, task: Sequence[str], turn: tuple[int, int]) -> Emulation:
    """Run `emulated.main` on `cpu`, the `turn`th CPU (from 0) of so many."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # else QEMU leaves a core where its guest dies
    started = time.monotonic()
    with TemporaryDirectory() as scratch:
        try:
            command = python(cpu, Path(scratch))
        except Unsupported as error:
            return Emulation(str(error), (), 0.0)
        reported, code = follow([*command, "-m", guest.__name__, *task], turn)
    refused = reported.get("refused") or refusal(code, cpu)
    seconds = round(time.monotonic() - started, 3)
    return Emulation(refused, checked_instructions(cpu, reported.get("int8_instructions")), seconds)


def follow(command: Sequence[str], turn: tuple[int, int]) -> tuple[dict[str, Any], int]:
    """Run the process; return the last value that it reported under each name, and its exit code."""
    reading, writing = os.pipe()
    process = subprocess.Popen([*command, str(writing)], pass_fds=[writing])
    os.close(writing)
    reported: dict[str, Any] = {}
    with os.fdopen(reading) as lines:
        for line in lines:
            reported |= json.loads(line)
            if "done" in reported:
                report(turn[0] * reported["total"] + reported["done"], turn[1] * reported["total"])
    return reported, process.wait()


def refusal(code: int, cpu: str) -> str:
    """Return why a process that gave no reason ended with this exit code; StageError if it isn't the CPU."""
    if code == -signal.SIGKILL:
        raise StageError(f"QEMU was killed as '{cpu}': out of memory? raise limits.memory")
    if code > 0:
        raise StageError(f"no answer under QEMU as '{cpu}' (exit code {code}): see the stage's log")
    return f"killed by {signal_name(-code)}" if code else ""


def checked_instructions(cpu: str, seen: Sequence[str] | None) -> tuple[str, ...]:
    """Return `seen` if `cpu` has just those instructions: QEMU before 7.2 only warns that it leaves out AVX2."""
    wanted = CPUS[cpu].int8
    if seen is not None and tuple(seen) != wanted:
        shown, lacks = (", ".join(names) or "none" for names in (seen, wanted))
        raise StageError(
            f"QEMU shows 8-bit instructions {shown} as '{cpu}', which has {lacks}: install QEMU 7.2 or newer"
        )
    return tuple(seen or ())
