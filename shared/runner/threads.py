"""Limits the threads of a framework, and checks that it keeps to the limit."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import CrossquantError

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
TOLERANCE = 0.5  # of a core: a pool's other threads wake up now and then


def limit(count: int) -> None:
    """Allow `count` threads to this process and its forks; to be called before a framework is imported."""
    for variable in VARIABLES:
        os.environ[variable] = str(count)


def allowed() -> int:
    """Threads that a stage may use: the experiment's, as `limit` set them."""
    return int(os.environ[VARIABLES[0]])


def alive() -> set[str]:
    """The ids of this process's threads now."""
    return set(os.listdir("/proc/self/task"))


def running() -> int:
    """Threads of this process now."""
    return len(alive())


def check(framework: str, asked: int, answered: int) -> None:
    """Raise where the framework's own count is not what was asked for: timings would be of something else."""
    if asked != answered:
        raise CrossquantError(
            f"{framework} runs {answered} threads instead of {asked}: timings would be of something else; "
            f"unset what sets its threads in the environment and run again"
        )


@contextmanager
def at_most(count: int, who: str) -> Iterator[None]:
    """Raise where more than `count` threads of this process work at once, whatever the framework says of itself.

    The proof is in the seconds: those of all its threads on a CPU, against those of the clock.
    """
    started, computed = time.perf_counter(), time.process_time()  # the clock's window encloses the CPUs'
    yield
    computed = time.process_time() - computed
    busy = computed / (time.perf_counter() - started)
    if busy > count + TOLERANCE:
        raise CrossquantError(
            f"{who} keeps {busy:.1f} cores busy where {count} may work: timings would be of something else; "
            f"unset what sets its threads in the environment and run again"
        )
