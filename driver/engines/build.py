"""Build the images by Docker Compose. BuildKit's log goes to a file; its progress comes as events."""

import logging
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from driver.catalog import declarations
from driver.engines import available_images
from driver.host import logs
from shared.artifacts import locks
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError

COMPOSE = "compose.yaml"
PREFIX = "crossquant-"  # of the names of our images
# Compose prints plain text where its output is no terminal; each variable says it to one of those who may print.
PLAIN = {"BUILDKIT_PROGRESS": "plain", "COMPOSE_PROGRESS": "plain", "COMPOSE_ANSI": "never"}
HEADER = re.compile(r"#(\d+) \[([^\]]+)\] (.*)")  # #15 [keras stage-0 2/5] RUN …
END = re.compile(r"#(\d+) (DONE|CACHED|ERROR|CANCELED)\b")
STEP = re.compile(r"(\d+)/(\d+)$")
PATIENCE = 20  # seconds
log = logging.getLogger(__name__)

Outcome = Literal["built", "cached"]


@dataclass(frozen=True)
class Advanced:
    """`step` of an image's `steps` have ended."""

    image: str
    step: int
    steps: int


@dataclass(frozen=True)
class Built:
    """An image is ready, the one of this `number` of so many `images`. `cached`: not one of its steps had to be run."""

    image: str
    outcome: Outcome
    seconds: float
    number: int
    images: int


@dataclass(frozen=True)
class Ended:
    """Compose has ended; `path` is its log."""

    exit_code: int
    path: Path


Event = Advanced | Built | Ended


@dataclass
class Progress:
    """The progress of one image by the log so far: `stages` has the number of steps of each stage of its Dockerfile."""

    started: float | None = None
    stages: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    worked: bool = False
    exported: bool = False


@dataclass(frozen=True)
class Vertex:
    """The step that a number in the log stands for. Another image's vertex may have the same number later."""

    service: str
    step: str  # such as "stage-0 2/5", "" where it is none
    text: str


class LogReader:
    """Reads BuildKit's plain log, line by line. `services` has the image's name of each service that is built."""

    def __init__(self, services: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self.services, self.clock = services, clock
        self.progress = {service: Progress() for service in services}
        self.vertices: dict[str, Vertex] = {}
        self.started = clock()

    def read(self, line: str) -> Iterator[Event]:
        if match := HEADER.match(line):
            yield from self._begin(*match.groups())
        elif match := END.match(line):
            yield from self._end(*match.groups())

    def finish(self) -> Iterator[Event]:
        """After a build that succeeded: the images whose end the log did not show."""
        for service, progress in self.progress.items():
            if not progress.exported:
                yield self._built(service)

    def _begin(self, number: str, where: str, text: str) -> Iterator[Event]:
        service, _, rest = where.partition(" ")
        if service not in self.services:
            if len(self.services) > 1:
                return
            service, rest = next(iter(self.services)), where  # one service alone is not named
        progress, match = self.progress[service], STEP.search(rest)
        self.vertices[number] = Vertex(service, rest if match else "", text)
        before = (progress.started, dict(progress.stages))
        if progress.started is None:
            progress.started = self.clock()
        if match:
            progress.stages[rest[: match.start()]] = int(match[2])
        if before != (progress.started, progress.stages):
            yield self._advanced(service)

    def _end(self, number: str, how: str) -> Iterator[Event]:
        vertex = self.vertices.get(number)
        if vertex is None or how in ("ERROR", "CANCELED"):
            return
        progress = self.progress[vertex.service]
        if vertex.step:
            progress.ended.add(vertex.step)
            progress.worked |= how == "DONE" and not vertex.text.startswith("FROM ")
            yield self._advanced(vertex.service)
        elif vertex.text.startswith("exporting to ") and not progress.exported:
            yield self._built(vertex.service)

    def _advanced(self, service: str) -> Advanced:
        progress = self.progress[service]
        return Advanced(self.services[service], len(progress.ended), sum(progress.stages.values()))

    def _built(self, service: str) -> Built:
        progress = self.progress[service]
        progress.exported = True
        seconds = self.clock() - (self.started if progress.started is None else progress.started)
        number = sum(each.exported for each in self.progress.values())
        outcome: Outcome = "built" if progress.worked else "cached"
        return Built(self.services[service], outcome, seconds, number, len(self.services))


def build_images(names: Collection[str] = ()) -> Iterator[Event]:
    """Build the images `names`; where none is named, those that aren't optional, and the optional ones that are built.

    CrossquantError for an unknown name, without Docker, and where another command builds.
    """
    files, services = choose_services(names)
    command = ["docker", "compose", *(word for file in files for word in ("-f", file)), "build", *services]
    path = logs.make_path("build.log")
    log.debug("%s", shlex.join(command))
    log.debug("log: %s", path)
    with locks.whole_folder(logs.make_path(".build.lock"), logs.LOGS):
        yield from run_compose(command, LogReader(services), path)


def run_compose(command: list[str], reader: LogReader, path: Path) -> Iterator[Event]:
    """The events of the build. Compose has ended when this generator is closed."""
    environment = {**os.environ, **PLAIN}
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise CrossquantError("docker is not on this host: `make docker-host` installs it") from None
    assert process.stdout is not None
    with process, path.open("w") as file:
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                yield from reader.read(line)
            if not process.wait():
                yield from reader.finish()
            yield Ended(process.returncode, path)
        finally:
            stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def choose_services(names: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """The Compose files, and the image's name of each service in them that builds one of the images."""
    optional = declarations.list_optional()
    images = (*declarations.load(optional), "driver")
    for name in names:
        if name not in images:
            raise CrossquantError(f"no image '{name}': known are {', '.join(images)}")
    tags = available_images.read_docker_tags() or set()
    taken = names or [name for name in optional if f"{PREFIX}{name}:latest" in tags]
    files = [COMPOSE, *(f"images/{name}/{COMPOSE}" for name in optional if name in taken)]
    services = {name: image for file in files for name, image in read_services(ROOT / file).items()}
    return files, {service: image for service, image in services.items() if not names or image in names}


def read_services(path: Path) -> dict[str, str]:
    """The services of a Compose file that build an image, with its name."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return {
        name: service["image"].removeprefix(PREFIX)
        for name, service in content["services"].items()
        if "build" in service
    }
