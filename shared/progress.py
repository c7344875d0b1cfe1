"""Progress and outcomes: one JSON object a line, on the stdout that the runner was started with."""

import json
import os
import time
from typing import Any

INTERVAL = 0.1  # seconds between two progress lines

_state: dict[str, Any] = {"stream": None, "output": "", "last": 0.0}


def connect(stream: int, output: str) -> None:
    """From now on, `report` writes to the file descriptor `stream` on behalf of the stage that makes `output`."""
    _state.update(stream=stream, output=output, last=0.0)


def report(done: int, total: int) -> None:
    """`done` of `total` images (or rounds, or epochs) are ready. Silent where no runner listens."""
    now = time.monotonic()
    if done < total and now - _state["last"] < INTERVAL:
        return
    _state["last"] = now
    emit("progress", output=_state["output"], done=done, total=total)


def emit(event: str, **fields: Any) -> None:
    if _state["stream"] is not None:
        os.write(_state["stream"], (json.dumps({"event": event, **fields}) + "\n").encode())
