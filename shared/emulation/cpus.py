"""The CPUs that QEMU can stand in for, and how a Python is started on one of them."""

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import CrossquantError, Unsupported

ARM64 = Path("/opt/arm64")  # made by images/base/arm64
KINDS = {"x86_64": "qemu-x86_64", "aarch64": "qemu-aarch64"}  # Debian's qemu-user; -static in qemu-user-static
AVX2 = ("avx2",)


@dataclass(frozen=True)
class Cpu:
    """`model` is QEMU's name, `int8` the 8-bit instructions that a program must find there, by the kernel's names,
    `part` an Arm CPU's number in /proc/cpuinfo.
    """

    model: str
    int8: tuple[str, ...]
    part: str = ""

    @property
    def kind(self) -> str:
        return "aarch64" if self.part else "x86_64"


CPUS = {
    "nehalem": Cpu("Nehalem", ()),
    "sandybridge": Cpu("SandyBridge", ()),
    "ivybridge": Cpu("IvyBridge", ()),
    "haswell": Cpu("Haswell", AVX2),
    "broadwell": Cpu("Broadwell", AVX2),
    "skylake-client": Cpu("Skylake-Client", AVX2),
    "epyc": Cpu("EPYC", AVX2),
    "epyc-rome": Cpu("EPYC-Rome", AVX2),
    "epyc-milan": Cpu("EPYC-Milan", AVX2),
    "cortex-a72": Cpu("cortex-a72", (), "0xd08"),
    "neoverse-n1": Cpu("neoverse-n1", ("asimddp",), "0xd0c"),
}


def saturates(name: str) -> bool:
    """Is it a CPU, of these, that adds products of uint8 and int8 in 16 bits (shared/measure/instructions.py)?"""
    return name in CPUS and CPUS[name].int8 == AVX2


def check(names: Sequence[str]) -> None:
    """CrossquantError for a CPU that QEMU doesn't emulate: it would run one with AVX512 as one without, and say so in
    a warning only.
    """
    unknown = [name for name in names if name not in CPUS]
    if unknown or not names:
        given = f"CPU '{unknown[0]}' can't be emulated (QEMU has no AVX512)" if unknown else "no CPU is named"
        raise CrossquantError(f"targets: {given}: take of {', '.join(CPUS)}")


def emulator(name: str) -> str:
    """The path of QEMU's user-mode emulator for this CPU. Unsupported, with the fix, where there is none or nothing in
    this image that it could run: no failure of the variant's.
    """
    kind = CPUS[name].kind
    if kind == "x86_64" and platform.machine() != kind:
        raise Unsupported(f"{name} is emulated on x86_64 alone, not on {platform.machine()}")
    if kind == "aarch64" and not ARM64.exists():
        raise Unsupported(f"{name} needs the framework for arm64 in {ARM64}, which this image has not")
    for program in (KINDS[kind], f"{KINDS[kind]}-static"):
        if path := shutil.which(program):
            return path
    raise Unsupported(f"{KINDS[kind]} is not on this host: apt-get install qemu-user, and run with --force")


def python(name: str, scratch: Path) -> list[str]:
    """The command that is Python on this CPU; `scratch` is an empty folder that must last as long."""
    cpu, program = CPUS[name], emulator(name)
    if cpu.kind == "x86_64":
        return [program, "-cpu", f"{cpu.model},check=off", sys.executable]  # check warns of what TCG leaves out
    system(cpu, scratch)
    settings = {"PYTHONHOME": ARM64 / "usr", "PYTHONPATH": ARM64 / "site"}
    given = [word for key, value in settings.items() for word in ("-E", f"{key}={value}")]
    interpreter = ARM64 / "usr/bin" / f"python3.{sys.version_info.minor}"
    return [program, "-cpu", cpu.model, "-L", str(scratch), *given, str(interpreter)]


def system(cpu: Cpu, folder: Path) -> None:
    """The files that QEMU shows its guest in the place of the host's: the libraries, and what the kernel would say of
    the CPU, since ONNX Runtime reads that and dies of an x86 one's.
    """
    for name in ("lib", "usr"):
        (folder / name).symlink_to(ARM64 / name)
    (folder / "proc").mkdir()
    features = " ".join(["fp", "asimd", *cpu.int8])
    lines = ["processor\t: 0", f"Features\t: {features}", "CPU implementer\t: 0x41", "CPU architecture: 8"]
    lines += ["CPU variant\t: 0x0", f"CPU part\t: {cpu.part}", "CPU revision\t: 1"]
    (folder / "proc/cpuinfo").write_text("\n".join(lines) + "\n\n")
    (folder / "sys/devices/system/cpu").mkdir(parents=True)
    for name in ("possible", "present", "online"):
        (folder / "sys/devices/system/cpu" / name).write_text("0\n")
