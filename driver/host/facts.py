"""A description of this machine: metrics mean little without it."""

import os
import platform
from typing import Any

from shared.measure.instructions import cpu_info, int8_instructions


def describe() -> dict[str, Any]:
    """CPU, its 8-bit instructions, cores that may be used, memory (bytes), kernel."""
    return {
        "cpu": cpu_info().get("model name") or platform.machine(),
        "int8_instructions": int8_instructions(),
        "cores": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def cpus() -> list[int]:
    """Numbers of the CPUs that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def cores() -> int:
    """The number of these CPUs."""
    return len(cpus())
