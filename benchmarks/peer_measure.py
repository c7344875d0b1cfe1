"""From files to figures: the judging process is started, and what it saw becomes accuracy and milliseconds."""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peer_environments import last_line
from benchmarks.peer_evidence import EVIDENCE, JOB, Evidence, Job
from benchmarks.peer_material import Row
from driver.engines import venv
from driver.host import facts
from shared.artifacts import store
from shared.contract import encode, read
from shared.data.samples import LABELS
from shared.errors import CrossquantError
from shared.measure import predictions
from shared.measure.machine import Machine
from shared.measure.timing import REPEAT_SUFFIX

REFERENCE = "onnx.fp32"
CALLS = 100  # a round, of each file, at batch 1
SAME = 0.01  # of the time: files of one and the same graph, by two tools, differ by less, either way


@dataclass(frozen=True)
class Figures:
    """`changed` counts the test images with another top-1 than the float model's; `rounds` are p50s, milliseconds."""

    accuracy: float
    changed: int
    size: int
    rounds: tuple[float, ...]

    @property
    def p50(self) -> float:
        return statistics.median(self.rounds)

    def times_as_fast_as(self, other: "Figures") -> float:
        """The median of the rounds' ratios: what slows the machine in one round slows both."""
        return statistics.median(theirs / own for own, theirs in zip(self.rounds, other.rounds, strict=True))


@dataclass(frozen=True)
class Measured:
    """`noise` is how far the same file, loaded twice, was from itself in the middle round: a share of its time."""

    figures: dict[str, Figures]
    noise: float
    machine: Machine

    @property
    def tolerance(self) -> float:
        """Files whose times are nearer to each other count as equally fast. A share of the time."""
        return max(self.noise, SAME)


def measure(rows: Sequence[Row], dataset: Path, work: Path, rounds: int, calls: int = CALLS) -> Measured:
    """Figures of every row that has a file; a row whose file can't be run is given the reason."""
    models = {row.name: row.model for row in rows if row.model is not None}
    folders = {name: str(path.resolve().parent) for name, path in models.items()}
    (work / JOB).write_text(encode(Job(folders, REFERENCE, str(dataset.resolve()), rounds, calls)))
    judge(work / JOB)
    evidence: Evidence = read(Evidence, work / EVIDENCE)
    for row in rows:
        row.reason = row.reason or evidence.failed.get(row.name, "")
    p50s = {
        samples.variant: tuple(1000 * statistics.median(calls) for calls in samples.seconds)
        for samples in evidence.timings.samples
        if samples.batch == 1
    }
    labels, top = np.load(dataset.with_name("labels") / LABELS), answers(work, REFERENCE)
    row_figures = {
        name: figures(answers(work, name), top, labels, path, p50s[name])
        for name, path in models.items()
        if name in p50s
    }
    apart = [
        abs(again / first - 1) for first, again in zip(p50s[REFERENCE], p50s[REFERENCE + REPEAT_SUFFIX], strict=True)
    ]
    return Measured(row_figures, statistics.median(apart), evidence.timings.machine)


def judge(job: Path) -> None:
    """Run the judge in the onnx image's environment, on one CPU: nothing there has more than one thread."""
    process = subprocess.Popen(
        [venv.ensure_environment("onnx", say=tell), "-m", "benchmarks.peer_judge", job],
        cwd=store.ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.sched_setaffinity(process.pid, facts.cpus()[-1:])
    _, error_text = process.communicate()
    if process.returncode:
        raise CrossquantError(f"the files can't be timed: {last_line(error_text)}")


def tell(text: str) -> None:
    print(text, file=sys.stderr)


def answers(work: Path, name: str) -> NDArray[np.int64]:
    """The top-1 of every test image."""
    return np.load(work / name / predictions.file(0)).argmax(axis=1)


def figures(
    top: NDArray[np.int64],
    reference: NDArray[np.int64],
    labels: NDArray[np.uint8],
    model: Path,
    rounds: tuple[float, ...],
) -> Figures:
    changed = int((top != reference).sum())
    return Figures(float((top == labels).mean()), changed, model.stat().st_size, rounds)
