"""A framework that uses more threads than it may is detected by the clock, whatever it reports."""

import re
import time

import pytest

from shared.errors import CrossquantError
from shared.runner import threads


def pass_time(monkeypatch: pytest.MonkeyPatch, *, on_cpus: float, on_the_clock: float) -> None:
    """Let the two clocks tell that much between two looks at them."""
    monkeypatch.setattr(time, "process_time", iter([5.0, 5.0 + on_cpus]).__next__)
    monkeypatch.setattr(time, "perf_counter", iter([7.0, 7.0 + on_the_clock]).__next__)


def test_one_thread_may_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch, on_cpus=1.1, on_the_clock=1.0)
    with threads.at_most(1, "onnx.fp32"):
        pass


def test_two_threads_are_found_where_one_may_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch, on_cpus=3.8, on_the_clock=2.0)
    message = "onnx.fp32 keeps 1.9 cores busy where 1 may work: timings would be of something else; "
    with pytest.raises(CrossquantError, match=re.escape(message)), threads.at_most(1, "onnx.fp32"):
        pass
