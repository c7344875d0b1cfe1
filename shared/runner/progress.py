"""Events: what a stage runner tells whoever started it, one JSON object a line on its stdout.

A stage tells its runner how far it is through a pipe of its own; the runner adds the stage's name, and start and end
come from the runner alone. With PROGRESS=plain in the environment the runner writes lines for a person instead: that is
what `docker compose up` shows.
"""

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from shared.contract import decode, loads
from shared.errors import FieldError
from shared.text import printable

JSON_INTERVAL, PLAIN_INTERVAL = 0.1, 3.0  # seconds between two progress lines
LONGEST_LINE: Final = 1 << 16  # bytes; longer ones are no events of ours
MOST = 1 << 53  # of what a stage counts

Kind = Literal["start", "progress", "end", "fresh", "note", "error", "unconfined"]


@dataclass(frozen=True)
class Event:
    """An event of the artifact `output`.

    start, fresh · progress: `done` of `total` · end: `status`, `reason`, `seconds` · note: `message` · error: `message`
    and the runner's `exit_code` · unconfined: nothing was run, since the kernel can't confine a stage.
    """

    event: Kind
    output: str = ""
    status: Literal["", "ok", "unsupported", "failed", "skipped"] = ""
    reason: str = ""
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    message: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Progress:
    """A stage's message to its runner while it works: `done` of `total` images, rounds or epochs are ready."""

    done: int
    total: int


@dataclass(frozen=True)
class Reply:
    """A stage's message to its runner at its end."""

    status: Literal["ok", "unsupported", "failed"]
    reason: str


@dataclass
class _Channel:
    stream: int | None = None
    last: float = 0.0


_to_driver = _Channel()  # the runner's
_to_runner = _Channel()  # the stage's


def connect(stream: int) -> None:
    """From now on, `emit` writes to the file descriptor `stream`."""
    _to_driver.stream = stream


def connect_stage(stream: int) -> None:
    """From now on, `report` and `reply` write to the file descriptor `stream`: this process is a stage."""
    _to_driver.stream = None
    _to_runner.stream, _to_runner.last = stream, time.monotonic()


def report(done: int, total: int) -> None:
    """`done` of `total` images (or rounds, or epochs) are ready. Silent where no runner listens."""
    now = time.monotonic()
    if _to_runner.stream is None or now - _to_runner.last < interval():
        return
    _to_runner.last = now
    _write(_to_runner.stream, dataclasses.asdict(Progress(int(done), int(total))))


def reply(status: str, reason: str) -> None:
    """The stage's outcome."""
    assert _to_runner.stream is not None
    _write(_to_runner.stream, {"status": status, "reason": printable(reason, LONGEST_LINE // 8)})


def emit(event: Event) -> None:
    if _to_driver.stream is None:
        return
    if plain():
        if line := _sentence(event):
            os.write(_to_driver.stream, (line + "\n").encode())
    else:
        fields = dataclasses.asdict(event)
        _write(_to_driver.stream, {key: value for key, value in fields.items() if value not in ("", 0)})


def interval() -> float:
    return PLAIN_INTERVAL if plain() else JSON_INTERVAL


def plain() -> bool:
    return os.environ.get("PROGRESS") == "plain"


class Lines:
    """Bytes to lines; one that is longer than LONGEST_LINE is dropped, whoever wrote it."""

    def __init__(self) -> None:
        self.rest, self.skipping = b"", False

    def feed(self, block: bytes) -> Iterator[bytes]:
        """The lines that `block` ends."""
        *lines, self.rest = (self.rest + block).split(b"\n")
        for line in lines:
            if not self.skipping and len(line) <= LONGEST_LINE:
                yield line
            self.skipping = False
        if len(self.rest) > LONGEST_LINE:
            self.rest, self.skipping = b"", True


def parse_event(line: bytes | str) -> Event | None:
    """The event in a line, its texts safe to show; None where it is none of ours."""
    event: Event | None = _decoded(Event, line)
    return event and dataclasses.replace(
        event, output=printable(event.output), reason=printable(event.reason), message=printable(event.message)
    )


def parse_message(line: bytes) -> Progress | Reply | None:
    """Parse a stage's message, with texts made safe to show; None if it is none of ours."""
    message: Progress | Reply | None = _decoded(Progress | Reply, line)
    if isinstance(message, Progress):
        return message if 0 <= message.done <= MOST and 0 <= message.total <= MOST else None
    return message and Reply(message.status, printable(message.reason))


def _decoded(kind: Any, line: bytes | str) -> Any:
    try:
        return decode(kind, loads(line))
    except (ValueError, FieldError):
        return None


def _write(stream: int, fields: dict[str, Any]) -> None:
    os.write(stream, (json.dumps(fields) + "\n").encode())


def _sentence(event: Event) -> str:
    """The event for a person; "" for one that needs no line."""
    if event.event == "progress":
        return f"{event.output:<28} {event.done}/{event.total}"
    if event.event == "end":
        return f"{event.output:<28} {event.status:<11} {event.seconds:.1f} s  {event.reason}".rstrip()
    if event.event == "fresh":
        return f"{event.output:<28} fresh"
    if event.event == "note":
        return event.message
    return f"error: {event.message}" if event.event in ("error", "unconfined") else ""
