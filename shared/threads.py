"""How many threads a framework may use, and the proof that it does."""

import os

from shared.errors import CrossquantError

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def limit(count: int) -> None:
    """Allow `count` threads to this process and its forks; to be called before a framework is imported."""
    for variable in VARIABLES:
        os.environ[variable] = str(count)


def allowed() -> int:
    """Threads that a stage may use: the experiment's, as `limit` set them."""
    return int(os.environ[VARIABLES[0]])


def running() -> int:
    """Threads of this process now."""
    return len(os.listdir("/proc/self/task"))


def check(framework: str, asked: int, answered: int) -> None:
    """Raise where the framework's own count is not what was asked for: timings would be of something else."""
    if asked != answered:
        raise CrossquantError(
            f"{framework} runs {answered} threads instead of {asked}: timings would be of something else; "
            f"unset what sets its threads in the environment and run again"
        )
