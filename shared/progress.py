"""Progress and outcomes: one JSON object a line, on the stdout that the runner was started with.

With PROGRESS=plain in the environment, a line for a person instead: that is what `docker compose up` shows.
"""

import json
import os
import time
from dataclasses import dataclass
from typing import Any

JSON_INTERVAL, PLAIN_INTERVAL = 0.1, 3.0  # seconds between two progress lines


@dataclass
class _Channel:
    stream: int | None = None
    output: str = ""
    last: float = 0.0


_channel = _Channel()


def connect(stream: int, output: str) -> None:
    """From now on, `report` writes to the file descriptor `stream` on behalf of the stage that makes `output`."""
    _channel.stream, _channel.output, _channel.last = stream, output, time.monotonic()


def report(done: int, total: int) -> None:
    """`done` of `total` images (or rounds, or epochs) are ready. Silent where no runner listens."""
    now = time.monotonic()
    interval = PLAIN_INTERVAL if plain() else JSON_INTERVAL
    if now - _channel.last < interval:
        return
    _channel.last = now
    emit("progress", output=_channel.output, done=done, total=total)


def emit(event: str, **fields: Any) -> None:
    if _channel.stream is None:
        return
    line = _sentence(event, fields) if plain() else json.dumps({"event": event, **fields})
    if line:
        os.write(_channel.stream, (line + "\n").encode())


def plain() -> bool:
    return os.environ.get("PROGRESS") == "plain"


def _sentence(event: str, fields: dict[str, Any]) -> str:
    """The event for a person; "" for one that needs no line."""
    if event == "progress":
        return f"{fields['output']:<28} {fields['done']}/{fields['total']}"
    if event == "end":
        seconds = f"{fields['seconds']:.1f} s"
        return f"{fields['output']:<28} {fields['status']:<11} {seconds}  {fields['reason']}".rstrip()
    if event == "fresh":
        return f"{fields['output']:<28} fresh"
    return f"error: {fields['message']}" if event == "error" else ""
