"""Which 8-bit instructions this CPU has, and what follows from them for the answers of a quantized file."""

from dataclasses import dataclass
from pathlib import Path

INT8 = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")  # the kernel's names
VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")  # each adds products of 8 bits in 32 bits, at once
FILE = "cpu.json"


@dataclass(frozen=True)
class Cpu:
    """`cpu.json` beside answers: the CPU that gave them."""

    name: str
    int8_instructions: tuple[str, ...]

    @property
    def saturates(self) -> bool:
        """Does it add products of uint8 and int8 in pairs, in 16 bits (`vpmaddubsw`)? Two large ones don't fit."""
        return "avx2" in self.int8_instructions and not set(VNNI) & set(self.int8_instructions)


def this_cpu() -> Cpu:
    return Cpu(cpu_info().get("model name", ""), tuple(int8_instructions()))


def int8_instructions() -> list[str]:
    """Those of INT8 that the CPU says it has."""
    info = cpu_info()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return [flag for flag in INT8 if flag in flags]


def cpu_info() -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    entry = path.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in entry.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
