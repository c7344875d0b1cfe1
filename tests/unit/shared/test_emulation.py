"""Other CPUs: which are emulated, on which images, and how a process that dies there is reported."""

import signal
from pathlib import Path

import numpy as np
import pytest

from shared.emulation import cpus, emulation
from shared.errors import CrossquantError, StageError, Unsupported

LABELS = np.random.default_rng(7).permutation(np.repeat(np.arange(10, dtype=np.uint8), 40))


@pytest.mark.parametrize(("images", "of_each"), [(100, 10), (109, 10), (10, 1), (5, 1), (1000, 40)])
def test_a_subset_has_as_many_of_each_class(images, of_each):
    assert np.bincount(LABELS[emulation.subset(LABELS, images)]).tolist() == [of_each] * 10


def test_a_subset_is_no_larger_than_the_smallest_class_allows():
    few = np.concatenate([LABELS, np.full(3, 10, np.uint8)])
    assert np.bincount(few[emulation.subset(few, 110)]).tolist() == [3] * 11


def test_a_subset_is_the_same_every_time_and_in_order():
    first = emulation.subset(LABELS, 100)
    assert (first == emulation.subset(LABELS, 100)).all()
    assert (np.diff(first) > 0).all()


@pytest.mark.parametrize("cpu", ["skylake-server", "cascadelake", "Haswell", ""])
def test_a_cpu_that_would_be_another_is_refused(cpu):
    with pytest.raises(CrossquantError) as caught:
        cpus.check(["haswell", cpu])
    assert str(caught.value) == (
        f"other_cpus: CPU '{cpu}' can't be emulated (QEMU has no AVX512): take of {', '.join(cpus.CPUS)}"
    )


def test_no_cpu_is_refused():
    with pytest.raises(CrossquantError, match=r"^other_cpus: no CPU is named: take of nehalem, "):
        cpus.check([])


@pytest.mark.parametrize("name", ["nehalem", "haswell", "epyc-milan", "cortex-a72", "neoverse-n1"])
def test_a_cpu_without_avx512_is_accepted(name):
    cpus.check(["haswell", name])
    assert not any(instruction.startswith("avx512") for instruction in cpus.CPUS[name].int8)


def test_the_emulator_of_the_static_package_will_do(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(cpus.platform, "machine", lambda: "x86_64")
    with pytest.raises(Unsupported, match=r"^qemu-x86_64 is not on this host: apt-get install qemu-user"):
        cpus.emulator("haswell")
    program = tmp_path / "qemu-x86_64-static"
    program.touch(0o755)
    assert cpus.emulator("haswell") == str(program)


def test_another_architecture_can_not_emulate(monkeypatch):
    monkeypatch.setattr(cpus.platform, "machine", lambda: "aarch64")
    with pytest.raises(Unsupported, match=r"^haswell is emulated on x86_64 alone, not on aarch64$"):
        cpus.emulator("haswell")


def test_an_arm_cpu_needs_a_system_of_its_own(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cpus, "ARM64", tmp_path / "absent")
    with pytest.raises(Unsupported, match=r"^cortex-a72 needs the framework for arm64 in .*, which this image has not"):
        cpus.emulator("cortex-a72")


def test_an_arm_guest_is_shown_its_own_cpu(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cpus, "ARM64", tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    cpus.system(cpus.CPUS["neoverse-n1"], scratch)
    cpuinfo = (scratch / "proc/cpuinfo").read_text()
    assert "Features\t: fp asimd asimddp\n" in cpuinfo
    assert "CPU part\t: 0xd0c\n" in cpuinfo
    assert (scratch / "usr").readlink() == tmp_path / "usr"


def test_a_program_that_the_cpu_kills_is_refused_by_it():
    assert emulation.refusal(-signal.SIGILL, "nehalem") == "killed by SIGILL"
    assert emulation.refusal(0, "nehalem") == ""


@pytest.mark.parametrize(("code", "words"), [(-signal.SIGKILL, "out of memory"), (1, "exit code 1")])
def test_what_is_not_the_cpus_doing_is_a_failure(code, words):
    with pytest.raises(StageError, match=words):
        emulation.refusal(code, "nehalem")


def test_an_emulator_that_shows_another_cpu_is_found_out():
    """QEMU 6 runs Haswell without AVX2, and warns at most; a CPU with VNNI would answer as this one does."""
    assert emulation.checked_instructions("haswell", ["avx2"]) == ("avx2",)
    for seen in ([], ["avx2", "avx512_vnni"]):
        with pytest.raises(StageError, match=r"as 'haswell', which has avx2: install QEMU 7.2 or newer$"):
            emulation.checked_instructions("haswell", seen)
