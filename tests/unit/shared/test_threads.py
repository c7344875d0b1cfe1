"""The thread limit reaches every library by the environment, and a framework's own count is checked."""

import os
import threading

import pytest

from shared.errors import CrossquantError
from shared.runner import threads


def test_the_limit_is_set_for_every_library(monkeypatch):
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    for name in names:
        monkeypatch.setenv(name, "64")
    threads.limit(3)
    assert [os.environ[name] for name in names] == ["3", "3", "3"]
    assert threads.allowed() == 3


def test_the_threads_of_this_process_are_counted():
    before, end = threads.running(), threading.Event()
    workers = [threading.Thread(target=end.wait) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        assert threads.running() == before + 2
    finally:
        end.set()
        for worker in workers:
            worker.join()


@pytest.mark.parametrize("answered", [1, 8])
def test_another_number_of_threads_is_refused(answered):
    threads.check("ONNX Runtime", answered, answered)
    with pytest.raises(CrossquantError) as caught:
        threads.check("ONNX Runtime", 2, answered)
    assert str(caught.value) == (
        f"ONNX Runtime runs {answered} threads instead of 2: timings would be of something else; "
        "unset what sets its threads in the environment and run again"
    )
