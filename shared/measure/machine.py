"""Measures whether the machine was quiet while something was timed, by the kernel's counters before and after."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")  # of /proc/stat, a second
FREQUENCIES = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"


@dataclass(frozen=True)
class Machine:
    """Of the time that was watched: `others` is how many cores other processes kept busy, `steal` the share (0-1) that
    the hypervisor took, `slowest_mhz` and `fastest_mhz` the CPUs' clock at its end, 0 where the kernel doesn't say.
    """

    started: float  # seconds since 1970
    seconds: float
    others: float
    steal: float
    slowest_mhz: float
    fastest_mhz: float


class Watch:
    """`seen` is there when the time is over."""

    seen: Machine


@contextmanager
def watch() -> Iterator[Watch]:
    """Look at the machine while the block runs, this process's own work and that of its children left out."""
    result, started, clock = Watch(), time.time(), time.monotonic()
    busy, steal, total = jiffies()
    own = own_seconds()
    yield result
    seconds = time.monotonic() - clock
    busy, steal, total = (now - before for now, before in zip(jiffies(), (busy, steal, total), strict=True))
    others = max(0.0, busy / TICK - (own_seconds() - own)) / max(seconds, 1e-9)
    low, high = frequencies()
    result.seen = Machine(started, seconds, others, steal / max(total, 1), low, high)


def jiffies() -> tuple[int, int, int]:
    """(busy, stolen, all) of all CPUs since the start: see proc(5), /proc/stat."""
    user, nice, system, idle, waiting, hard, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    busy = user + nice + system + hard + soft
    return busy, steal, busy + steal + idle + waiting


def own_seconds() -> float:
    """CPU seconds of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def frequencies() -> tuple[float, float]:
    """(slowest, fastest) clock of the CPUs in MHz; zeros where the kernel doesn't say, as in most virtual machines."""
    frequencies = [int(path.read_text()) / 1000 for path in Path("/").glob(FREQUENCIES.lstrip("/"))]
    return (min(frequencies), max(frequencies)) if frequencies else (0.0, 0.0)
