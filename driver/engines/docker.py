"""The engine that counts: one locked-down container an image, started through the Docker SDK."""

import logging
import os
import secrets
import shlex
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import Mount

from driver.engines.base import ENDED
from driver.experiment.model import Limits
from driver.host import facts
from shared import host_paths, stage
from shared.artifacts import locks
from shared.artifacts.store import build_command, volumes
from shared.contract import Plan, Step
from shared.errors import CrossquantError, StageError
from shared.host_paths import MOUNTED
from shared.runner import progress
from shared.runner.progress import Event

PLAN = "plan.json"
T = TypeVar("T")
log = logging.getLogger(__name__)
LABEL = "crossquant.folder"  # on each container, with the experiment's folder: another checkout's are not ours
LEASE = "crossquant.lease"  # and the name of a file that its driver holds a lock on, as long as it lives
LEASES = ".leases"  # below the experiment's folder
COMPOSE = "com.docker.compose."  # what Compose calls its own containers by: its labels on an image are inherited


class DockerEngine:
    """Containers as Compose would start them: tests hold both to be the same."""

    name = "docker"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        try:
            self.client = docker.from_env()
            self.client.ping()
        except (DockerException, requests.RequestException) as error:
            raise CrossquantError(f"no Docker daemon answers: start it, or --engine venv ({error})") from None

    def start(self, plan: Plan, image: str, arguments: Sequence[str]) -> Generator[Event, None, None]:
        options = settings(plan, image, self.limits)
        yield from self.run(plan, image, arguments, options)

    def isolate(self, plan: Plan, step: Step, inputs: Mapping[str, Path], folder: Path) -> Generator[Event, None, None]:
        options = isolated_settings(plan, step.image, self.limits, inputs, folder)
        yield from self.run(plan, step.image, [step.output, "--force"], options)

    def run(
        self, plan: Plan, image: str, arguments: Sequence[str], options: Mapping[str, Any]
    ) -> Generator[Event, None, None]:
        """Run a container, and another one where it is killed, as often as `limits.retries` allows."""
        self.clear(plan)
        with lease(plan) as name:
            for left in reversed(range(self.limits.retries + 1)):
                container = self.create(image, arguments, {**options, "labels": {**options["labels"], LEASE: name}})
                ended = yield from self.attempt(container, image)
                if ended in ENDED:
                    return
                if not left:
                    raise StageError(f"the container of image '{image}' was killed (exit code {ended}): run again")
                yield Event("note", message=f"the container of image '{image}' was killed: starting it again")

    def attempt(self, container: Container, image: str) -> Generator[Event, None, int]:
        """Run one container to its end, and return its exit code."""
        try:
            yield from follow(container)
            ended = wait(container)
        except (APIError, requests.RequestException) as error:
            raise StageError(
                f"the Docker daemon went away while image '{image}' ran: start it and run again; "
                f"what is finished is kept ({type(error).__name__})"
            ) from None
        finally:
            remove(container)
        if ended.out_of_memory:
            raise StageError(f"image '{image}' ran out of memory: raise limits.memory (now {self.limits.memory})")
        return ended.code

    def clear(self, plan: Plan) -> None:
        """Remove the containers of drivers that were killed: those whose lease nobody holds."""
        try:
            of_folder: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={folder(plan)}"}
            for container in self.client.containers.list(all=True, filters=of_folder, ignore_removed=True):
                if not is_held(leases(plan) / str(container.labels.get(LEASE, ""))):
                    remove(container)
        except (APIError, requests.RequestException) as error:
            raise StageError(f"the Docker daemon went away: start it and run again ({error})") from None

    def create(self, image: str, arguments: Sequence[str], options: Mapping[str, Any]) -> Container:
        name = f"crossquant-{image}"
        try:
            built = self.client.images.get(name)
            labels = {**dict.fromkeys(compose_labels(built.labels), ""), **options["labels"]}
            environment = {**options["environment"], "CROSSQUANT_IMAGE_ID": built.id or ""}
            changed = {**options, "labels": labels, "environment": environment}
            log.debug("%s", format_command(name, arguments, changed))
            return self.client.containers.create(name, list(arguments), **changed)
        except ImageNotFound:
            raise CrossquantError(f"image '{name}' is not built: run `{build_command(image)}`") from None
        except (APIError, requests.RequestException) as error:
            raise CrossquantError(f"Docker can't make a container of '{name}': {error}") from None


def settings(plan: Plan, image: str, limits: Limits) -> dict[str, Any]:
    """The container's settings: it can read the volume and write its own folder, and nothing else."""
    own = folder(plan) / image
    own.mkdir(parents=True, exist_ok=True)
    return {
        "user": f"{os.getuid()}:{os.getgid()}",
        "read_only": True,
        "tmpfs": {"/tmp": "exec"},  # a compiled model is loaded from there
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "cpuset_cpus": ",".join(map(str, facts.cpus()[: plan.threads])),
        "mem_limit": limits.memory_bytes,
        "environment": {
            "EXPERIMENT": plan.experiment,
            locks.HOLDER: f"the driver, {locks.describe_self()}",
            host_paths.VARIABLE: str(volumes().resolve()),
        },
        "labels": {LABEL: str(folder(plan))},
        "mounts": [
            Mount(str(MOUNTED), str(volumes().resolve()), type="bind", read_only=True),
            Mount(f"{MOUNTED}/{plan.experiment}/{image}", str(own), type="bind"),
        ],
    }


def isolated_settings(plan: Plan, image: str, limits: Limits, inputs: Mapping[str, Path], own: Path) -> dict[str, Any]:
    """The settings of a container that reads one step's `inputs` and the plan, and writes `own`."""
    usual = settings(plan, image, limits)
    seen = {f"{plan.experiment}/{PLAN}": folder(plan) / PLAN, **inputs}
    mounts = [
        Mount(f"{MOUNTED}/{place}", str(path.resolve()), type="bind", read_only=True) for place, path in seen.items()
    ]
    return {
        **usual,
        "environment": {**usual["environment"], stage.ISOLATED: "1"},
        "mounts": [Mount(f"{MOUNTED}/{plan.experiment}/{image}", str(own), type="bind"), *mounts],
    }


def format_command(image: str, arguments: Sequence[str], options: Mapping[str, Any]) -> str:
    """`docker run` as it would be typed for such a container, but for labels and mounts: these fill a screen."""
    words = ["docker", "run", "--rm", "--user", options["user"], "--network", options["network_mode"]]
    words += ["--read-only"] * options["read_only"]
    words += [f"--cap-drop={name}" for name in options["cap_drop"]]
    words += [f"--security-opt={name}" for name in options["security_opt"]]
    words += [f"--tmpfs={path}:{how}" for path, how in options["tmpfs"].items()]
    words += [f"--cpuset-cpus={options['cpuset_cpus']}", f"--memory={options['mem_limit']}"]
    words += [f"--env={name}={value}" for name, value in options["environment"].items()]
    return shlex.join([*words, image, *arguments])


def compose_labels(labels: Mapping[str, str]) -> list[str]:
    """The labels of an image by which `docker compose` would take a container of it for one of its own."""
    return [label for label in labels if label.startswith(COMPOSE)]


def leases(plan: Plan) -> Path:
    return folder(plan) / LEASES


@contextmanager
def lease(plan: Plan) -> Iterator[str]:
    """The name of a lock file that this process holds meanwhile: it says that containers with this name are wanted."""
    leases(plan).mkdir(parents=True, exist_ok=True)
    path = leases(plan) / secrets.token_hex(8)
    with locks.whole_folder(path, leases(plan)):
        try:
            yield path.name
        finally:
            path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Does a living process hold the lease? A lease that no process holds is removed."""
    if not path.is_file():
        return False
    with locks.unless_held(path) as free:
        if free:
            path.unlink(missing_ok=True)
        return not free


def folder(plan: Plan) -> Path:
    """Where the experiment's artifacts lie on this host."""
    return volumes().resolve() / plan.experiment


def follow(container: Container) -> Iterator[Event]:
    """The events of a container's whole life. A line that is no event is not the runner's, and is dropped."""
    output = ask(lambda: container.attach(stdout=True, stderr=False, stream=True, logs=True))
    ask(container.start)
    lines = progress.Lines()
    for block in output:
        for event in map(progress.parse_event, lines.feed(block)):
            if event is not None:
                yield event


@dataclass(frozen=True)
class Ended:
    code: int
    out_of_memory: bool  # and died of it: a stage that does is reported by the runner


def wait(container: Container) -> Ended:
    code = int(ask(container.wait)["StatusCode"])
    ask(container.reload)
    return Ended(code, code not in ENDED and container.attrs["State"]["OOMKilled"])


def ask(request: Callable[[], T]) -> T:
    """What the daemon answers, asked once more where the connection breaks off.

    docker-py keeps connections open and repeats nothing: one that the daemon closes meanwhile fails although the daemon
    is alive. All that is asked this way may be asked twice; a daemon that is away fails the second time too.
    """
    try:
        return request()
    except requests.ConnectionError:
        return request()


def remove(container: Container) -> None:
    """Remove the container, whatever happened. Where the daemon is away, the next run removes it."""
    try:
        container.remove(force=True)
    except (NotFound, APIError, requests.RequestException):
        return
