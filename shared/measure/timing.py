"""Measures latency and throughput, all variants of an image interleaved: a drift of the machine affects all alike."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from shared import tasks
from shared.data import samples
from shared.data.samples import About, Batch
from shared.errors import CrossquantError, StageError
from shared.measure import machine, predictions
from shared.measure.predictions import Model
from shared.runner import threads
from shared.runner.progress import report

WARM_UP = 20  # calls: TorchScript compiles on the first ones, ONNX Runtime fills its arena
SHORT, LONG = 0.04, 0.6  # seconds of the proof; the second where the first fails: the CPUs' clocks lag by milliseconds
ALL_LOADED = 2  # times what one model may compute of a batch (shared/data/samples.py) may all that are timed together
REPEAT_SUFFIX = " again"  # ends the name of an A/A repeat, under which a variant is timed a second time

Load = Callable[[Path, int], Model]


@dataclass(frozen=True)
class Samples:
    """Seconds of each single call of `variant` on `batch` samples with `threads` threads, (rounds, calls)."""

    variant: str
    batch: int
    threads: int
    seconds: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Timings:
    """`samples.json`: everything that was timed in one start of the image, and how quiet the machine was."""

    machine: machine.Machine
    samples: tuple[Samples, ...]


@dataclass(frozen=True)
class Size:
    """How much to time: `rounds` of `calls` calls at batch 1 and of one call at `batch`."""

    rounds: int
    calls: int
    batch: int


def measure(available: Mapping[str, Path], dataset: Path, out: Path, load: Load, size: Size) -> None:
    """Write `samples.json` (Timings) for every variant in `available` that answered soundly.

    On one thread, then on all that the stage may use; each in a process of its own, since TensorFlow fixes its threads
    with the first operator. CrossquantError where a framework takes more than it may.
    """
    models = {name: available[name] for name in sound(available, dataset)}
    many = samples.take(dataset, slice(together(available, models, dataset, size.batch)))
    counts = sorted({1, threads.allowed()})
    with machine.watch() as watch:
        timings = [each for count in counts for each in apart(models, load, many, size, count)]
    (out / "samples.json").write_text(json.dumps(asdict(Timings(watch.seen, tuple(timings)))))


def together(available: Mapping[str, Path], models: Iterable[str], dataset: Path, size: int) -> int:
    """`size`, or the power of two below that memory holds: all models are loaded at once, and each keeps what it took
    for its largest batch.
    """
    each = sum(predictions.batch_size(available[f"predictions.{name}"]).bytes_per_sample for name in models)
    fits = samples.fitting(dataset, size, ALL_LOADED * samples.LARGEST, each)
    return size if fits >= size else 1 << (fits.bit_length() - 1)


def apart(models: Mapping[str, Path], load: Load, batch: Batch, size: Size, count: int) -> list[Samples]:
    """`interleaved` in a fork of this process; what it raises is raised here."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        try:
            return pool.submit(interleaved, models, load, batch, size, count).result()
        except BrokenProcessPool:
            raise StageError("the timing process was killed (out of memory? raise limits.memory)") from None


def interleaved(paths: Mapping[str, Path], load: Load, batch: Batch, size: Size, count: int) -> list[Samples]:
    """Samples of all variants (A B C, A B C, …) on `count` threads, at batch 1 and at all of `batch`.

    Two of them are loaded and timed a second time under other names: what a file and its repeat differ by is noise.
    """
    repeats = {name + REPEAT_SUFFIX: paths[name] for name in choose_repeats(list(paths))}
    models = {name: load(path, count) for name, path in (*paths.items(), *repeats.items())}
    one = tuple(np.ascontiguousarray(array[:1]) for array in batch)
    for name, model in models.items():
        warm_up(name, model, one, batch, count)
    single: dict[str, list[tuple[float, ...]]] = {name: [] for name in models}
    many: dict[str, list[tuple[float, ...]]] = {name: [] for name in models}
    for turn in range(size.rounds):
        for name, model in models.items():
            single[name].append(timed(model, one, size.calls))
        for name, model in models.items():
            many[name].append(timed(model, batch, 1))
        report(turn + 1, size.rounds)
    sizes = ((1, single), (len(batch[0]), many))
    return [Samples(name, number, count, tuple(seconds[name])) for number, seconds in sizes for name in models]


def choose_repeats(names: Sequence[str]) -> list[str]:
    """The first float variant and the first quantized one: 8-bit kernels have a noise of their own."""
    floats = [name for name in names if name.endswith(".fp32")]
    others = [name for name in names if name not in floats]
    return [*floats[:1], *others[:1]]


def warm_up(name: str, model: Model, one: Batch, batch: Batch, count: int) -> None:
    """Call until nothing is done for the first time; then look at the threads."""
    timed(model, one, WARM_UP)
    [seconds] = timed(model, batch, 1)
    try:
        with threads.at_most(count, name):
            timed(model, batch, calls_in(SHORT, seconds))
    except CrossquantError:
        with threads.at_most(count, name):
            timed(model, batch, calls_in(LONG, seconds))


def calls_in(wanted: float, seconds: float) -> int:
    """Return the number of calls that take `wanted` seconds if one takes `seconds`; at least two."""
    return max(2, int(wanted / max(seconds, 1e-6)))


def timed(model: Model, batch: Batch, calls: int) -> tuple[float, ...]:
    """Seconds that each of `calls` calls takes."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
    return tuple(seconds)


def sound(available: Mapping[str, Path], dataset: Path) -> list[str]:
    """The variants worth timing: those whose predictions are there, and not all the same."""
    about = samples.about(dataset)
    names = [name for name in available if f"predictions.{name}" in available]
    return [name for name in names if is_sound(predictions.outputs(available[f"predictions.{name}"]), about)]


def is_sound(outputs: Sequence[Path], about: About) -> bool:
    """Do the evaluated outputs of a variant differ from sample to sample?"""
    try:
        parts = samples.select_parts(list(map(samples.mapped, outputs)), about)
    except CrossquantError:
        return False
    return not all(tasks.find_defect(part) for part in parts)
