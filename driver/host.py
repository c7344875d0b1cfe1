"""What this machine is: figures mean little without it."""

import os
import platform
from pathlib import Path
from typing import Any

INT8 = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def describe() -> dict[str, Any]:
    """CPU, its 8-bit instructions, cores that may be used, memory (bytes), kernel."""
    return {
        "cpu": cpu_info().get("model name") or platform.machine(),
        "int8_instructions": int8_instructions(),
        "cores": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def int8_instructions() -> list[str]:
    """Those of INT8 that the CPU says it has."""
    info = cpu_info()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return [flag for flag in INT8 if flag in flags]


def cpus() -> list[int]:
    """Numbers of the CPUs that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def cores() -> int:
    """How many they are."""
    return len(cpus())


def cpu_info() -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    entry = path.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in entry.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
