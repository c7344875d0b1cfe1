"""One JSON object a line for the driver, or a line for a person; never more lines than anyone can read."""

import json
import os
from types import SimpleNamespace

import pytest

from shared import progress


class Listener:
    """What comes out of the stream that `progress` writes to, and the clock that it reads."""

    def __init__(self, readable: int) -> None:
        self.readable, self.now = readable, 100.0

    def lines(self) -> list[str]:
        try:
            return os.read(self.readable, 65536).decode().splitlines()
        except BlockingIOError:
            return []

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch):
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    found = Listener(readable)
    monkeypatch.delenv("PROGRESS", raising=False)
    monkeypatch.setattr(progress, "_channel", progress._Channel())
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: found.now))
    progress.connect(writable, "onnx.int8")
    yield found
    os.close(readable)
    os.close(writable)


def test_an_event_is_one_json_object_a_line(listener):
    progress.emit("start", output="onnx.fp32")
    progress.emit("end", output="onnx.fp32", status="failed", reason="two\nlines", seconds=0.5)
    assert listener.events() == [
        {"event": "start", "output": "onnx.fp32"},
        {"event": "end", "output": "onnx.fp32", "status": "failed", "reason": "two\nlines", "seconds": 0.5},
    ]


@pytest.mark.parametrize(("mode", "interval"), [("json", progress.JSON_INTERVAL), ("plain", progress.PLAIN_INTERVAL)])
def test_progress_comes_no_more_often_than_its_interval(listener, monkeypatch, mode, interval):
    monkeypatch.setenv("PROGRESS", mode)
    told = []
    for turn in range(9):  # a report each third of an interval, the first at once
        progress.report(turn, 9)
        told.append(len(listener.lines()))
        listener.now += interval / 3 * 1.001
    assert told == [0, 0, 0, 1, 0, 0, 1, 0, 0]


def test_a_report_is_made_on_behalf_of_the_stage_that_runs(listener):
    listener.now += 1
    progress.report(250, 10000)
    assert listener.events() == [{"event": "progress", "output": "onnx.int8", "done": 250, "total": 10000}]


def test_nothing_is_written_where_no_runner_listens(monkeypatch, capfd):
    monkeypatch.setattr(progress, "_channel", progress._Channel())
    progress.report(1, 2)
    progress.emit("start", output="onnx.fp32")
    assert capfd.readouterr() == ("", "")


def test_a_person_reads_sentences(listener, monkeypatch):
    monkeypatch.setenv("PROGRESS", "plain")
    progress.emit("progress", output="onnx.int8", done=250, total=10000)
    progress.emit("end", output="onnx.int8", status="ok", reason="", seconds=1.26)
    progress.emit("end", output="torch.uint8", status="unsupported", reason="no kernel", seconds=0.0)
    progress.emit("fresh", output="dataset")
    progress.emit("error", message="unknown image 'tf'", exit_code=2)
    assert listener.lines() == [
        "onnx.int8                    250/10000",
        "onnx.int8                    ok          1.3 s",
        "torch.uint8                  unsupported 0.0 s  no kernel",
        "dataset                      fresh",
        "error: unknown image 'tf'",
    ]


def test_a_person_is_spared_what_needs_no_line(listener, monkeypatch):
    monkeypatch.setenv("PROGRESS", "plain")
    progress.emit("start", output="onnx.int8")
    assert listener.lines() == []
