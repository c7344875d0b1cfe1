"""One JSON object per line for the driver, or a line for a person, and not too many lines."""

import json
import os
from types import SimpleNamespace

import pytest

from shared.runner import progress
from shared.runner.progress import Event, Progress, Reply


class Listener:
    """What comes out of the stream that `progress` writes to, and the clock that it reads."""

    def __init__(self, readable: int) -> None:
        self.readable, self.now, self.stream = readable, 100.0, -1

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
    reader = Listener(readable)
    monkeypatch.delenv("PROGRESS", raising=False)
    for channel in ("_to_driver", "_to_runner"):
        monkeypatch.setattr(progress, channel, progress._Channel())
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: reader.now))
    reader.stream = writable
    progress.connect(writable)
    yield reader
    os.close(readable)
    os.close(writable)


def test_an_event_is_one_json_object_a_line(listener):
    progress.emit(Event("start", "onnx.fp32"))
    progress.emit(Event("end", "onnx.fp32", "failed", "two\nlines", 0.5))
    assert listener.events() == [
        {"event": "start", "output": "onnx.fp32"},
        {"event": "end", "output": "onnx.fp32", "status": "failed", "reason": "two\nlines", "seconds": 0.5},
    ]


@pytest.mark.parametrize(("mode", "interval"), [("json", progress.JSON_INTERVAL), ("plain", progress.PLAIN_INTERVAL)])
def test_progress_comes_no_more_often_than_its_interval(listener, monkeypatch, mode, interval):
    monkeypatch.setenv("PROGRESS", mode)
    progress.connect_stage(listener.stream)
    counts = []
    for turn in range(9):  # a report each third of an interval, the first at once
        progress.report(turn, 9)
        counts.append(len(listener.lines()))
        listener.now += interval / 3 * 1.001
    assert counts == [0, 0, 0, 1, 0, 0, 1, 0, 0]


def test_a_stage_tells_its_runner_how_far_it_is_and_how_it_ended(listener):
    progress.connect_stage(listener.stream)
    listener.now += 1
    progress.report(250, 10000)
    progress.reply("failed", "two\nlines\x1b[2J")
    messages = list(map(progress.parse_message, (line.encode() for line in listener.lines())))
    assert messages == [Progress(250, 10000), Reply("failed", "two lines [2J")]


def test_a_stage_has_no_way_to_speak_for_the_runner(listener):
    progress.connect_stage(listener.stream)
    progress.emit(Event("end", "another", "ok"))
    assert listener.lines() == []


def test_nothing_is_written_where_no_runner_listens(monkeypatch, capfd):
    for channel in ("_to_driver", "_to_runner"):
        monkeypatch.setattr(progress, channel, progress._Channel())
    progress.report(1, 2)
    progress.emit(Event("start", "onnx.fp32"))
    assert capfd.readouterr() == ("", "")


def test_a_person_reads_sentences(listener, monkeypatch):
    monkeypatch.setenv("PROGRESS", "plain")
    progress.emit(Event("progress", "onnx.int8", done=250, total=10000))
    progress.emit(Event("end", "onnx.int8", "ok", seconds=1.26))
    progress.emit(Event("end", "torch.uint8", "unsupported", "no kernel"))
    progress.emit(Event("fresh", "dataset"))
    progress.emit(Event("note", "dataset", message="'dataset' is in use"))
    progress.emit(Event("error", message="unknown image 'tf'", exit_code=2))
    assert listener.lines() == [
        "onnx.int8                    250/10000",
        "onnx.int8                    ok          1.3 s",
        "torch.uint8                  unsupported 0.0 s  no kernel",
        "dataset                      fresh",
        "'dataset' is in use",
        "error: unknown image 'tf'",
    ]


def test_a_person_is_spared_what_needs_no_line(listener, monkeypatch):
    monkeypatch.setenv("PROGRESS", "plain")
    progress.emit(Event("start", "onnx.int8"))
    assert listener.lines() == []


@pytest.mark.parametrize(
    "line",
    [
        b"a banner",
        b"[]",
        b'"end"',
        b'{"event": "end", "output": 1}',
        b'{"event": "win", "output": "a"}',
        b'{"event": "end", "output": "a", "status": "best"}',
        b'{"event": "end", "gates": "hold"}',
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_event_is_none(line):
    assert progress.parse_event(line) is None
    assert progress.parse_message(line) is None


@pytest.mark.parametrize("done", [-1, 1 << 60, True, 0.5, "1"])
def test_a_stage_can_not_count_what_nobody_can(done):
    assert progress.parse_message(json.dumps({"done": done, "total": 2}).encode()) is None


def test_an_event_is_safe_to_show():
    event = progress.parse_event(json.dumps({"event": "end", "output": "a\x1b[2J", "reason": "b\nAll 22 gates hold."}))
    assert (event.output, event.reason) == ("a [2J", "b All 22 gates hold.")


def test_a_line_without_end_is_dropped_and_the_next_one_is_read():
    lines = progress.Lines()
    assert list(lines.feed(b"x" * (progress.LONGEST_LINE + 1))) == []
    assert lines.rest == b""
    assert list(lines.feed(b"yy\nnext\nhal")) == [b"next"]
    assert list(lines.feed(b"f\n")) == [b"half"]
    assert list(lines.feed(b"z" * (progress.LONGEST_LINE + 1) + b"\nlast\n")) == [b"last"]
