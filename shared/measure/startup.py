"""Measures cold starts: how long a fresh process takes to import the framework, load one file and answer once, and
its memory.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.data import samples
from shared.errors import StageError
from shared.measure.timing import sound
from shared.runner import threads
from shared.runner.progress import report

THREADS = 1


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process to each step's end, and the largest resident memory of its life."""

    imported: float
    loaded: float
    answered: float
    peak_bytes: int


def measure(available: Mapping[str, Path], dataset: Path, out: Path, module: str, *, repeats: int) -> None:
    """Write `starts.json`: `{variant: [Start, …]}`. `module` has the image's `load(variant, threads)`."""
    names = sound(available, dataset)
    starts: dict[str, list[Start]] = {name: [] for name in names}
    for turn in range(repeats):
        for number, name in enumerate(names):
            starts[name].append(start(module, available[name], dataset))
            report(turn * len(names) + number + 1, repeats * len(names))
    contents = {name: [asdict(item) for item in items] for name, items in starts.items()}
    (out / "starts.json").write_text(json.dumps(contents))


def start(module: str, variant: Path, dataset: Path) -> Start:
    """Start one fresh process. StageError if it doesn't answer."""
    reading, writing = os.pipe()
    command = [
        sys.executable,
        "-m",
        "shared.measure.startup",
        module,
        str(variant),
        str(dataset),
        str(time.monotonic()),
    ]
    process = subprocess.Popen([*command, str(writing)], pass_fds=[writing])
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if process.wait() or not text:
        raise StageError(f"{variant.name} does not answer in a fresh process (exit code {process.returncode})")
    return Start(**json.loads(text))


def main(arguments: list[str]) -> None:
    """The fresh process: the clock is the system's, and began in the process that started this one."""
    module, variant, dataset, began, answer = arguments
    threads.limit(THREADS)
    load = importlib.import_module(module).load
    imported = time.monotonic()
    model = load(Path(variant), THREADS)
    loaded = time.monotonic()
    model(samples.take(Path(dataset), slice(1)))
    imported, loaded, answered = (moment - float(began) for moment in (imported, loaded, time.monotonic()))
    os.write(int(answer), json.dumps(asdict(Start(imported, loaded, answered, peak()))).encode())


def peak() -> int:
    """The largest resident memory of this process, in bytes. What wait(2) tells counts the parent's before exec too."""
    return int(re.findall(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[0]) * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
