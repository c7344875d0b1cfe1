"""Which optional images take part: those that are asked for, and those that are built on this host."""

import http.client
import json
import os
import socket
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from driver.catalog import declarations
from driver.engines.base import FOLDER
from shared.artifacts import store
from shared.contract import Plan, read_if_whole

PREFIX = "CROSSQUANT_WITH_"  # and the image's name: 1 where it is to take part, as Compose says it to `fetch`, or 0
SECONDS = 5


def select_optional(asked: Collection[str], recipes: Any, engine: str) -> tuple[str, ...]:
    """The optional images that are `asked` for, named by the `recipes`, or built on this host."""
    names = declarations.list_optional()
    switches = {name: os.environ.get(PREFIX + name.upper(), "") for name in names}
    named = set(recipes) if isinstance(recipes, Mapping) else set()
    built = find_built([name for name in names if not switches[name]], engine)
    chosen = [name for name in names if name in named or name in built or switches[name] not in ("", "0")]
    return tuple(dict.fromkeys((*asked, *chosen)))


def list_planned(experiment: str) -> tuple[str, ...]:
    """The optional images that the plan on the volume has."""
    path = store.plan_path(experiment)
    plan = read_if_whole(Plan, path)
    images = plan.images if plan else ()
    return tuple(name for name in declarations.list_optional() if name in images)


def find_built(names: Collection[str], engine: str) -> set[str]:
    """The images of `names` that `engine` could start now."""
    if not names:
        return set()
    tags = None if engine == "venv" else read_docker_tags()
    if tags is None:
        return {name for name in names if (FOLDER / name / "lock.sha256").exists()}
    return {name for name in names if f"crossquant-{name}:latest" in tags}


def read_docker_tags() -> set[str] | None:
    """The tags of all images that the local Docker daemon has; None where none answers.

    Asked without the SDK, which takes a quarter of a second to import.
    """
    try:
        with closing(connect()) as connection:
            connection.request("GET", "/images/json")
            images = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return {tag for image in images for tag in image.get("RepoTags") or ()}


def connect() -> http.client.HTTPConnection:
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    if address.scheme == "tcp":
        return http.client.HTTPConnection(address.hostname or "localhost", address.port or 2375, timeout=SECONDS)
    return OverSocket(Path(address.path))


class OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self.path))
