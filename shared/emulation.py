"""The same file on another CPU: some test images are answered again under QEMU, which shows its guest another CPU.

Without VNNI, products of uint8 and int8 are added in pairs in 16 bits, where they saturate: same file, other answers.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html (data type selection)
"""

import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared import emulated
from shared.contract import read
from shared.errors import CrossquantError, StageError, Unsupported
from shared.images import Indices, draw_by_class
from shared.predictions import FILE
from shared.progress import report

EMULATORS = ("qemu-x86_64", "qemu-x86_64-static")  # of Debian's qemu-user and qemu-user-static
AVX2 = ("avx2",)
CPUS: dict[str, tuple[str, tuple[str, ...]]] = {  # QEMU's name, and the 8-bit instructions that a program must find
    "nehalem": ("Nehalem", ()),
    "sandybridge": ("SandyBridge", ()),
    "ivybridge": ("IvyBridge", ()),
    "haswell": ("Haswell", AVX2),
    "broadwell": ("Broadwell", AVX2),
    "skylake-client": ("Skylake-Client", AVX2),
    "epyc": ("EPYC", AVX2),
    "epyc-rome": ("EPYC-Rome", AVX2),
    "epyc-milan": ("EPYC-Milan", AVX2),
}
INDICES, SUMMARY = "indices.npy", "cpus.json"
SEED = 0


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


def answer(variant: Path, dataset: Path, out: Path, module: str, cpus: Sequence[str], images: int) -> None:
    """Write `indices.npy`, (n,) int64: about `images` test images; for each of `cpus` that can run the variant
    `<cpu>/probabilities.npy`, (n, classes) float32, its answers to them in that order; and `cpus.json` (Summary).

    `module` has the image's `load(variant, threads)`. Unsupported where none of the CPUs can run the variant.
    """
    check(cpus)
    program = emulator()
    np.save(out / INDICES, subset(np.load(dataset / emulated.LABELS), images))
    found = {}
    for turn, cpu in enumerate(cpus):
        (out / cpu).mkdir()
        files = (variant, dataset, out / INDICES, out / cpu / FILE)
        found[cpu] = emulate(program, cpu, [module, *map(str, files)], (turn, len(cpus)))
    if all(one.refused for one in found.values()):
        raise Unsupported("; ".join(f"{cpu}: {one.refused}" for cpu, one in found.items()))
    (out / SUMMARY).write_text(json.dumps(asdict(Summary(found))))


def summary(folder: Path) -> Summary:
    """What `answer` wrote of each CPU."""
    return read(Summary, folder / SUMMARY)


def check(cpus: Sequence[str]) -> None:
    """CrossquantError for a CPU that QEMU doesn't emulate: it would run one with AVX512 as one without, and say so in
    a warning only.
    """
    unknown = [cpu for cpu in cpus if cpu not in CPUS]
    if unknown or not cpus:
        given = f"CPU '{unknown[0]}' can't be emulated (QEMU has no AVX512)" if unknown else "no CPU is named"
        raise CrossquantError(f"other_cpus: {given}: take of {', '.join(CPUS)}")


def emulator() -> str:
    """The path of QEMU's user-mode emulator. CrossquantError, with the fix, where there is none, or none would help."""
    if platform.machine() != "x86_64":
        raise CrossquantError(
            f"x86 CPUs are emulated on x86_64 hosts alone, not {platform.machine()}: leave out other_cpus"
        )
    for name in EMULATORS:
        if found := shutil.which(name):
            return found
    raise CrossquantError(f"{EMULATORS[0]} is not on this host: apt-get install qemu-user, or leave out other_cpus")


def subset(labels: NDArray[np.uint8], images: int) -> Indices:
    """Sorted indices of the same number of images of each class, always the same ones: `images` in all, or the next
    smaller number that can be had.
    """
    _, sizes = np.unique(labels, return_counts=True)
    per_class = min(max(1, images // len(sizes)), int(sizes.min()))
    return draw_by_class(labels, per_class, np.random.default_rng(SEED))


def emulate(program: str, cpu: str, task: Sequence[str], turn: tuple[int, int]) -> Emulation:
    """Run `emulated.main` on `cpu`, the `turn`th CPU (from 0) of so many."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # else QEMU leaves a core where its guest dies
    command = [program, "-cpu", f"{CPUS[cpu][0]},check=off", sys.executable, "-m", emulated.__name__, *task]
    started = time.monotonic()
    reading, writing = os.pipe()
    process = subprocess.Popen([*command, str(writing)], pass_fds=[writing])
    os.close(writing)
    told: dict[str, Any] = {}
    with os.fdopen(reading) as lines:
        for line in lines:
            told |= json.loads(line)
            if "done" in told:
                report(turn[0] * told["total"] + told["done"], turn[1] * told["total"])
    refused = told.get("refused") or refusal(process.wait(), cpu)
    seconds = round(time.monotonic() - started, 3)
    return Emulation(refused, checked_instructions(cpu, told.get("int8_instructions")), seconds)


def refusal(code: int, cpu: str) -> str:
    """Why a process that didn't say so itself ended with this exit code; StageError where it is not the CPU's doing."""
    if code == -signal.SIGKILL:
        raise StageError(f"QEMU was killed as '{cpu}': out of memory? raise limits.memory")
    if code > 0:
        raise StageError(f"no answer under QEMU as '{cpu}' (exit code {code}): see the stage's log")
    return f"killed by {signal.Signals(-code).name}" if code else ""


def checked_instructions(cpu: str, seen: Sequence[str] | None) -> tuple[str, ...]:
    """`seen`, if it is what `cpu` has; QEMU before 7.2 leaves out AVX2 with no more than a warning."""
    wanted = CPUS[cpu][1]
    if seen is not None and tuple(seen) != wanted:
        shown, lacks = (", ".join(names) or "none" for names in (seen, wanted))
        raise StageError(
            f"QEMU shows 8-bit instructions {shown} as '{cpu}', which has {lacks}: install QEMU 7.2 or newer"
        )
    return tuple(seen or ())
