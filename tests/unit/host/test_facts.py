"""What this machine is, read from files of the test's own."""

import os
from pathlib import Path

import pytest

from driver.host import facts
from shared.measure import instructions

INTEL = """\
processor\t: 0
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu sse2 amx_int8 avx2 avx512f avx512_vnni avx2_not

processor\t: 1
model name\t: another
"""
CLIENT = "processor\t: 0\nflags\t\t: sse2 avx_vnni avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nCPU part\t: 0xd40\n"


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    """A file in the place of /proc/cpuinfo."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(instructions, "Path", lambda _: path)
    return path


def test_the_first_processor_speaks_for_all(cpuinfo):
    cpuinfo.write_text(INTEL)
    assert facts.cpu_info()["model name"] == "Some CPU @ 2.00GHz"
    assert facts.cpu_info()["processor"] == "0"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (INTEL, ["avx2", "avx512f", "avx512_vnni", "amx_int8"]),
        (CLIENT, ["avx2", "avx_vnni"]),
        (ARM, ["asimddp", "i8mm"]),
        ("processor: 0\n", []),
        (None, []),
    ],
)
def test_int8_instructions_in_one_order(cpuinfo, text, wanted):
    if text is not None:
        cpuinfo.write_text(text)
    assert facts.int8_instructions() == wanted


def test_a_processor_without_a_name(cpuinfo):
    cpuinfo.write_text(ARM)
    described = facts.describe()
    assert described["cpu"]
    assert described["int8_instructions"] == ["asimddp", "i8mm"]


def test_cpus_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {6, 2, 3})
    assert facts.cpus() == [2, 3, 6]
    assert facts.cores() == 3
    assert facts.describe()["cores"] == 3


def test_memory_is_in_bytes():
    total = int(next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line).split()[1])
    assert facts.describe()["memory_bytes"] == total * 1024


def test_every_8_bit_instruction_set_of_x86_and_arm_is_looked_for(cpuinfo):
    wanted = {"avx2", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
    cpuinfo.write_text(f"flags\t: {' '.join(wanted)}\n")
    assert wanted == set(facts.describe()["int8_instructions"])
