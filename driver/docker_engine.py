"""The engine that counts: one locked-down container an image, started through the Docker SDK."""

import json
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import Mount

from driver import host
from driver.engine import Event
from driver.experiment import Limits
from shared.contract import Plan
from shared.errors import CrossquantError, StageError
from shared.store import build_command, volumes

APP = "/app/volumes"
LABEL = "crossquant.folder"  # on each container, with the experiment's folder: another checkout's are not ours


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
        self.clear(plan)
        for left in reversed(range(self.limits.retries + 1)):
            ended = yield from self.attempt(plan, image, arguments)
            if ended in (0, 2, 3):
                return
            if not left:
                raise StageError(f"the container of image '{image}' was killed (exit code {ended}): run again")
            yield {"event": "note", "message": f"the container of image '{image}' was killed: starting it again"}

    def attempt(self, plan: Plan, image: str, arguments: Sequence[str]) -> Generator[Event, None, int]:
        """One container's whole life; returns its exit code."""
        container = self.create(plan, image, arguments)
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
        """Remove what a driver that was killed left running: the experiment's lock says that it is nobody's."""
        try:
            mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={folder(plan)}"}
            for container in self.client.containers.list(all=True, filters=mine):
                remove(container)
        except (APIError, requests.RequestException) as error:
            raise StageError(f"the Docker daemon went away: start it and run again ({error})") from None

    def create(self, plan: Plan, image: str, arguments: Sequence[str]) -> Container:
        name = f"crossquant-{image}"
        try:
            found = self.client.images.get(name)
            options = settings(plan, image, self.limits, found.id or "")
            return self.client.containers.create(name, list(arguments), **options)
        except ImageNotFound:
            raise CrossquantError(f"image '{name}' is not built: run `{build_command(image)}`") from None
        except (APIError, requests.RequestException) as error:
            raise CrossquantError(f"Docker can't make a container of '{name}': {error}") from None


def settings(plan: Plan, image: str, limits: Limits, image_id: str) -> dict[str, Any]:
    """What the container may do: read the volume, write its own folder, and nothing else."""
    own = folder(plan) / image
    own.mkdir(parents=True, exist_ok=True)
    return {
        "user": f"{os.getuid()}:{os.getgid()}",
        "read_only": True,
        "tmpfs": {"/tmp": "exec"},  # a compiled model is loaded from there
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "cpuset_cpus": ",".join(map(str, host.cpus()[: plan.threads])),
        "mem_limit": limits.memory_bytes,
        "environment": {"EXPERIMENT": plan.experiment, "CROSSQUANT_IMAGE_ID": image_id},
        "labels": {LABEL: str(folder(plan))},
        "mounts": [
            Mount(APP, str(volumes().resolve()), type="bind", read_only=True),
            Mount(f"{APP}/{plan.experiment}/{image}", str(own), type="bind"),
        ],
    }


def folder(plan: Plan) -> Path:
    """Where the experiment's artifacts lie on this host."""
    return volumes().resolve() / plan.experiment


def follow(container: Container) -> Iterator[Event]:
    """The events of a container's whole life."""
    output = container.attach(stdout=True, stderr=False, stream=True, logs=True)
    container.start()
    rest = b""
    for block in output:
        *lines, rest = (rest + block).split(b"\n")
        yield from (json.loads(line) for line in lines)


@dataclass(frozen=True)
class Ended:
    code: int
    out_of_memory: bool  # and died of it: a stage that does is reported by the runner


def wait(container: Container) -> Ended:
    code = int(container.wait()["StatusCode"])
    container.reload()
    return Ended(code, code not in (0, 2, 3) and container.attrs["State"]["OOMKilled"])


def remove(container: Container) -> None:
    """Whatever happened, no container stays. A daemon that is away keeps it; it is removed by the next run."""
    try:
        container.remove(force=True)
    except (NotFound, APIError, requests.RequestException):
        return
