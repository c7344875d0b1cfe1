"""Other CPUs: which are emulated, on which images, and how a process that dies there is reported."""

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shared.contract import read_shown
from shared.emulation import cpus, emulation, guest
from shared.emulation.emulation import ANSWERS, INDICES, SUMMARY, Emulation, Summary
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
        f"targets: CPU '{cpu}' can't be emulated (QEMU has no AVX512): take of {', '.join(cpus.CPUS)}"
    )


def test_no_cpu_is_refused():
    with pytest.raises(CrossquantError, match=r"^targets: no CPU is named: take of nehalem, "):
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


# The time that each CPU has.


def save_dataset(folder: Path, labels: np.ndarray | None = LABELS, **about: str) -> tuple[Path, Path]:
    """Samples that are their own numbers, and their labels apart from them."""
    places = folder / "dataset", folder / "labels"
    for place in places:
        place.mkdir()
    np.save(places[0] / "input_0.npy", np.arange(len(LABELS), dtype=np.float32)[:, None])
    (places[0] / "about.json").write_text(json.dumps(about))
    if labels is not None:
        np.save(places[1] / "labels.npy", labels)
    return places


def test_the_first_of_the_chosen_samples_stand_for_all(tmp_path: Path):
    chosen = emulation.choose_samples(*save_dataset(tmp_path), 200)
    assert sorted(chosen) == emulation.subset(LABELS, 200).tolist()
    assert (chosen == emulation.choose_samples(tmp_path / "dataset", tmp_path / "labels", 200)).all()
    for part in (chosen[:40], chosen[100:140]):
        assert set(LABELS[part]) == set(range(10))
        assert abs(part.mean() - chosen.mean()) < 60, "of 0 to 399"


@pytest.mark.parametrize("about", [{}, {"task": "regression"}])
def test_samples_of_no_classes_are_spaced_evenly_and_shuffled_too(tmp_path: Path, about: dict[str, str]):
    labels = LABELS.astype(np.float32) if about else None
    chosen = emulation.choose_samples(*save_dataset(tmp_path, labels, **about), 50)
    assert len(chosen) == 50
    assert set(np.diff(np.sort(chosen))) <= {7, 8, 9}
    assert (np.diff(chosen) < 0).any()


@pytest.mark.parametrize("lengths", [(30, 20), (20, 30), (20, 20), (20,)])
def test_only_samples_that_each_cpu_answered_are_kept(tmp_path: Path, lengths: tuple[int, ...]):
    names = ["haswell", "nehalem"][: len(lengths)]
    np.save(tmp_path / INDICES, np.arange(100, 140))
    for name, length in zip(names, lengths, strict=True):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / ANSWERS, np.arange(2.0 * length).reshape(length, 2))
    emulation.keep_common_samples(tmp_path, names)
    assert np.load(tmp_path / INDICES).tolist() == list(range(100, 120))
    for name in names:
        assert np.load(tmp_path / name / ANSWERS).tolist() == np.arange(40.0).reshape(20, 2).tolist()


def test_each_cpu_is_given_the_time_and_one_that_refuses_takes_no_samples(tmp_path: Path, monkeypatch):
    asked = []

    def emulate(cpu: str, task: list[str], turn: tuple[int, int]) -> Emulation:
        asked.append((cpu, task[-1], turn))
        if cpu == "nehalem":
            return Emulation("killed by SIGILL", (), 0.5)
        length = {"haswell": 30, "cortex-a72": 25}[cpu]
        np.save(task[-2], np.zeros((length, 2), np.float32))
        return Emulation("", cpus.CPUS[cpu].int8, 40.0)

    monkeypatch.setattr(emulation, "emulate", emulate)
    monkeypatch.setattr(emulation, "run_in_fork", lambda work: work())
    monkeypatch.setattr(emulation.sandbox, "hide", lambda _: None)
    dataset, labels = save_dataset(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    emulation.answer(tmp_path, dataset, labels, out, "module", ["haswell", "nehalem", "cortex-a72"], 100, 40)
    assert asked == [("haswell", "40", (0, 3)), ("nehalem", "40", (1, 3)), ("cortex-a72", "40", (2, 3))]
    assert np.load(out / INDICES).tolist() == emulation.choose_samples(dataset, labels, 100)[:25].tolist()
    assert {len(np.load(out / cpu / ANSWERS)) for cpu in ("haswell", "cortex-a72")} == {25}
    assert not (out / "nehalem" / ANSWERS).exists()
    assert [run.refused for run in read_shown(Summary, out / SUMMARY).cpus.values()] == ["", "killed by SIGILL", ""]


class Guest:
    """The emulated process in this one: each look at the clock finds it a second later."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.dataset, _ = save_dataset(folder)
        np.save(folder / INDICES, np.arange(399, 354, -1))  # 45 of them
        lines = ["def load(variant, threads):", "    return lambda batch: (batch[0] * 2,)"]
        (folder / "doubling_model.py").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setattr(guest.threads, "limit", lambda _: None)
        seconds = count()
        monkeypatch.setattr(guest, "time", SimpleNamespace(monotonic=lambda: next(seconds)))

    def run(self, seconds: float) -> tuple[list[float], list[dict[str, int]]]:
        """What it answers, and what it tells of its progress."""
        reading, writing = os.pipe()
        paths = (self.folder, self.dataset, self.folder / INDICES, self.folder / ANSWERS)
        guest.main(["doubling_model", *map(str, paths), str(seconds), str(writing)])
        os.close(writing)
        with os.fdopen(reading) as pipe:
            told = [json.loads(line) for line in pipe]
        return np.load(self.folder / ANSWERS)[:, 0].tolist(), [news for news in told if "done" in news]


@pytest.mark.parametrize(("seconds", "answered"), [(100, 45), (2.5, 30), (1.5, 20), (0, 10)])
def test_a_guest_answers_in_order_until_its_time_is_up_and_some_samples_at_least(
    tmp_path: Path, monkeypatch, seconds: float, answered: int
):
    values, told = Guest(tmp_path, monkeypatch).run(seconds)
    assert values == [2.0 * (399 - number) for number in range(answered)]
    assert told[-1] == {"done": answered, "total": 45}
    assert [news["done"] for news in told] == [min(10 * batch, 45) for batch in range(1, len(told) + 1)]
