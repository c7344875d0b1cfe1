"""Latency and throughput: all variants of an image interleaved, so that a drift of the machine meets them all."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from shared import threads
from shared.images import Floats, preprocess
from shared.predictions import FILE, Model, at_chance
from shared.progress import report

WARM_UP = 20  # calls: TorchScript compiles on the first ones, ONNX Runtime fills its arena


@dataclass(frozen=True)
class Samples:
    """Seconds of each single call: `latency` at batch 1, `throughput` at `batch_size`; in rounds, in order."""

    batch_size: int
    threads: int
    latency: list[list[float]]
    throughput: list[list[float]]


def measure(
    available: Mapping[str, Path],
    dataset: Path,
    out: Path,
    load: Callable[[Path, int], Model],
    *,
    rounds: int,
    calls: int,
    batch_size: int,
) -> None:
    """Write `samples.json`: `{variant: Samples}` for every variant in `available` that answered soundly.

    One thread, and CrossquantError where a framework takes more. A round is `calls` calls of each variant at batch 1,
    then one of each at `batch_size`.
    """
    models = {name: load(available[name], 1) for name in sound(available, dataset)}
    images = preprocess(np.load(dataset / "x_test.npy", mmap_mode="r")[:batch_size])
    one = np.ascontiguousarray(images[:1])
    samples = {name: Samples(len(images), 1, [], []) for name in models}
    for name, model in models.items():
        timed(model, one, WARM_UP)
        timed(model, images, 1)
        with threads.at_most(1, name):
            timed(model, images, 2)
    for turn in range(rounds):
        for name, model in models.items():
            samples[name].latency.append(timed(model, one, calls))
        for name, model in models.items():
            samples[name].throughput.append(timed(model, images, 1))
        report(turn + 1, rounds)
    (out / "samples.json").write_text(json.dumps({key: asdict(s) for key, s in samples.items()}))


def timed(model: Model, images: Floats, calls: int) -> list[float]:
    """Seconds that each of `calls` calls takes."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        model(images)
        seconds.append(time.perf_counter() - start)
    return seconds


def sound(available: Mapping[str, Path], dataset: Path) -> list[str]:
    """The variants worth timing: those whose predictions are there and better than chance."""
    labels = np.load(dataset / "y_test.npy")
    names = [name for name in available if f"predictions.{name}" in available]
    return [
        name for name in names if not at_chance(np.load(available[f"predictions.{name}"] / FILE, mmap_mode="r"), labels)
    ]
