"""Questions to this host: is Docker there, what does it have, where do wheels lie?"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException

from driver.catalog import declarations
from shared.artifacts.store import ROOT

BASE = "python:3.11-slim-bookworm"
TIMEOUT = 20  # seconds: a firewall that drops what it doesn't like never answers


def connect() -> docker.DockerClient | None:
    """A client of the daemon, if one answers."""
    try:
        client = docker.from_env(timeout=TIMEOUT)
        client.ping()
    except (DockerException, requests.RequestException):
        return None
    return client


def compose_version() -> str | None:
    """The version of Compose, v2 or later; None where there is none."""
    if shutil.which("docker") is None:
        return None
    command = ["docker", "compose", "version", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v")
    return version if re.match(r"[2-9]\.|[1-9]\d", version) else None


def bubblewrap_version() -> str:
    """The version, such as `bubblewrap 0.8.0`; "" where it is not on this host."""
    if shutil.which("bwrap") is None:
        return ""
    return subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False).stdout.strip()


def missing_images(client: docker.DockerClient) -> list[str]:
    """Images of this project that are not built."""
    return [name for name in (*declarations.load(), "driver") if not has_image(client, f"crossquant-{name}")]


def has_image(client: docker.DockerClient, name: str) -> bool:
    return bool(client.images.list(name))


def base_image() -> str:
    return os.environ.get("BASE_IMAGE") or BASE


def registry_answers(client: docker.DockerClient) -> bool:
    """Does the daemon reach the registry that the base image comes from?"""
    try:
        client.images.get_registry_data(base_image())
    except (APIError, requests.RequestException):
        return False
    return True


def torch_wheels() -> list[Path]:
    """The CPU wheels that the torch image's lock asks for, in the folders where this host keeps wheels."""
    lock = (ROOT / "images" / "torch" / "requirements.lock").read_text()
    wanted = re.findall(r"^torch==(\S+\+cpu)", lock, re.MULTILINE)
    folders = [ROOT / "wheels", *map(Path, os.environ.get("PIP_FIND_LINKS", "").split())]
    return [
        wheel for folder in folders for version in wanted for wheel in sorted(folder.glob(f"torch-{version}-*.whl"))
    ]


def npm() -> str | None:
    """The npm client: the driver's own, or the host's."""
    return shutil.which("npm", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def index_url() -> str:
    """The package index that pip is set to on this host, "" for the usual one."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return os.environ.get("PIP_INDEX_URL") or done.stdout.strip()
