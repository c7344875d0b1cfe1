"""Whether the machine was quiet, by the kernel's counters, without this process's own work."""

from pathlib import Path

import pytest

from shared.measure import machine

STAT = "cpu  1000 20 300 9000 400 50 6 70 800 9\ncpu0 500 10 150 4500 200 25 3 35 400 4\nintr 1 2 3\nctxt 5"


class Kernel:
    """Answers for /proc/stat and the clocks: a step on each question."""

    def __init__(self, monkeypatch, ticks=((0, 0, 0), (0, 0, 0)), own=(0.0, 0.0), clock=(0.0, 10.0)):
        for owner, name, answers in (
            (machine, "jiffies", ticks),
            (machine, "own_seconds", own),
            (machine.time, "monotonic", clock),
        ):
            monkeypatch.setattr(owner, name, iter(answers).__next__)
        monkeypatch.setattr(machine, "frequencies", lambda: (1000.0, 2000.0))
        monkeypatch.setattr(machine, "TICK", 100)


def watched():
    with machine.watch() as watch:
        pass
    return watch.seen


def test_the_counters_of_the_kernel(monkeypatch):
    """Idle and waiting are not busy; a guest's time is counted in `user` already."""
    monkeypatch.setattr(Path, "read_text", lambda path: STAT if path == Path("/proc/stat") else pytest.fail(str(path)))
    busy, steal, total = machine.jiffies()
    assert busy == 1000 + 20 + 300 + 50 + 6
    assert steal == 70
    assert total == busy + 70 + 9000 + 400


def test_the_counters_of_this_machine_only_grow():
    before = machine.jiffies()
    after = machine.jiffies()
    assert all(now >= then for then, now in zip(before, after, strict=True))
    assert after[2] >= after[0] + after[1]


def test_what_others_kept_busy_is_without_our_own(monkeypatch):
    """15 busy seconds in 10, of which 12 are ours, leave 3: as many as 0.3 cores."""
    Kernel(monkeypatch, ticks=((500, 7, 1000), (2000, 27, 3000)), own=(100.0, 112.0))
    seen = watched()
    assert seen.others == pytest.approx(0.3)
    assert seen.steal == pytest.approx(20 / 2000)
    assert seen.seconds == 10.0
    assert (seen.slowest_mhz, seen.fastest_mhz) == (1000.0, 2000.0)


def test_others_are_never_less_than_none(monkeypatch):
    """The kernel counts ticks, which are coarser than our own seconds."""
    Kernel(monkeypatch, ticks=((0, 0, 0), (99, 0, 200)), own=(0.0, 1.005))
    assert watched().others == 0.0


def test_a_moment_without_a_tick_is_no_division_by_nought(monkeypatch):
    Kernel(monkeypatch, clock=(5.0, 5.0))
    seen = watched()
    assert (seen.others, seen.steal, seen.seconds) == (0.0, 0.0, 0.0)


def test_what_was_watched_is_unknown_until_the_end():
    with machine.watch() as watch:
        assert not hasattr(watch, "seen")
    assert watch.seen.others >= 0.0
    assert 0.0 <= watch.seen.steal <= 1.0


def test_an_error_in_the_block_is_not_swallowed():
    with pytest.raises(ZeroDivisionError), machine.watch():
        raise ZeroDivisionError


def test_our_own_seconds_grow_with_our_work():
    before = machine.own_seconds()
    while machine.own_seconds() == before:
        sum(range(1000))
    assert machine.own_seconds() > before


def test_clocks_are_in_mhz(tmp_path, monkeypatch):
    for number, kilohertz in enumerate((2_400_000, 1_200_000, 3_100_000)):
        path = tmp_path / f"cpu{number}" / "scaling_cur_freq"
        path.parent.mkdir()
        path.write_text(f"{kilohertz}\n")
    monkeypatch.setattr(machine, "FREQUENCIES", f"{tmp_path}/cpu*/scaling_cur_freq")
    assert machine.frequencies() == (1200.0, 3100.0)


def test_a_kernel_that_does_not_say_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "FREQUENCIES", f"{tmp_path}/cpu*/scaling_cur_freq")
    assert machine.frequencies() == (0.0, 0.0)
