"""Latency, throughput and cold start from raw timings: the same code for every framework."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.analysis.facts import BusyMachine, NotInterleaved, RunWarning, SharedMachine, ThrottledMachine
from driver.analysis.results import Cold, Latency, Timing
from shared.measure.startup import Start
from shared.measure.timing import Samples, Timings

BUSY_CORES, STOLEN, SLOWED = 0.1, 0.01, 0.8  # beyond which a machine was too busy, too shared, or throttled to time on


def summarize_timings(passes: Sequence[Timings]) -> dict[str, tuple[Timing, ...]]:
    """The table of each variant, by batch size and threads: the median over the passes of each pass's percentiles."""
    grouped: dict[tuple[str, int, int], list[Samples]] = defaultdict(list)
    for timings_of_pass in passes:
        once = {
            (samples.variant, samples.batch, samples.threads): samples for samples in reversed(timings_of_pass.samples)
        }
        for key, samples in reversed(once.items()):  # a set of one image has one batch size
            grouped[key].append(samples)
    table: dict[str, tuple[Timing, ...]] = defaultdict(tuple)
    for (variant, batch, threads), group in grouped.items():
        table[variant] += (summarize_passes(batch, threads, [milliseconds(samples) for samples in group]),)
    return dict(table)


def summarize_passes(batch: int, threads: int, passes: Sequence[NDArray[np.float64]]) -> Timing:
    """Of `passes`, the milliseconds of each call of each pass."""
    percentiles = np.array([np.percentile(calls, (50, 90, 99)) for calls in passes])
    p50, p90, p99 = (float(value) for value in np.median(percentiles, axis=0))
    count = sum(calls.size for calls in passes)
    return Timing(batch, threads, p50, p90, p99, count, 1000 * batch / p50, tuple(percentiles[:, 0].tolist()))


def milliseconds(samples: Samples) -> NDArray[np.float64]:
    return 1000 * np.concatenate([np.asarray(calls, np.float64) for calls in samples.seconds])


def select_columns(table: Sequence[Timing]) -> dict[str, Any]:
    """The columns of the main table: a call at batch 1, and images a second at the larger batch; one thread each."""
    single = [timing for timing in table if timing.threads == 1]
    columns: dict[str, Any] = {"timings": tuple(table)}
    for timing in sorted(single, key=lambda timing: timing.batch):
        columns.setdefault("latency_ms", Latency(timing.p50, timing.p90, timing.p99, timing.samples))
        columns["images_per_second"] = timing.images_per_second
    return columns


def pick_median_start(starts: Sequence[Start]) -> Cold:
    """Of several cold starts the one in the middle, by the time to the first answer."""
    chosen = sorted(starts, key=lambda start: start.answered)[len(starts) // 2]
    return Cold(chosen.imported, chosen.loaded, chosen.answered, chosen.peak_bytes)


def find_single_call(table: Sequence[Timing]) -> Timing | None:
    """At batch 1 on one thread."""
    return next((timing for timing in table if (timing.batch, timing.threads) == (1, 1)), None)


def find_doubts(passes: Mapping[str, Sequence[Timings]]) -> tuple[RunWarning, ...]:
    """What makes the timings doubtful; `passes` by image."""
    seen = [timings_of_pass.machine for group in passes.values() for timings_of_pass in group]
    doubts: list[RunWarning] = []
    if seen and (others := max(machine.others for machine in seen)) > BUSY_CORES:
        doubts.append(BusyMachine(others))
    if seen and (steal := max(machine.steal for machine in seen)) > STOLEN:
        doubts.append(SharedMachine(steal))
    if any(0 < machine.slowest_mhz < SLOWED * machine.fastest_mhz for machine in seen):
        doubts.append(ThrottledMachine())
    if not are_interleaved(passes):
        doubts.append(NotInterleaved())
    return tuple(doubts)


def are_interleaved(passes: Mapping[str, Sequence[Timings]]) -> bool:
    """Was each image timed once before any was timed again, and so on?"""
    starts = [
        (timings_of_pass.machine.started, turn)
        for group in passes.values()
        for turn, timings_of_pass in enumerate(group)
    ]
    turns = [turn for _, turn in sorted(starts)]
    return turns == sorted(turns)
