"""What can be fixed on this host without asking: .env for Compose, wheels for the builds, the base image."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import APIError

from driver.host import facts, logs, probes
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError

ENV = ROOT / ".env"
COMPOSE_CPUS = 2  # what compose.yaml gives a container
PASSED_ON = ("BASE_IMAGE", "TORCH_INDEX", "HTTPS_PROXY")


def apply_all() -> Iterator[str]:
    """Do what makes `docker compose build` work here; a line for each thing done."""
    yield from copy_wheels()
    if write_env(environment()):
        yield "wrote .env: what Compose must know of this host"
    client = probes.connect()
    if client is not None and not probes.has_image(client, probes.base_image()):
        yield get_base(client)


def copy_wheels() -> Iterator[str]:
    """Bring the torch wheel into the build context, where this host has it."""
    for wheel in probes.torch_wheels():
        target = ROOT / "wheels" / wheel.name
        if not target.exists():
            partial = target.with_suffix(".partial")
            shutil.copyfile(wheel, partial)
            partial.replace(target)
            yield f"copied {wheel.name} to wheels/"


def environment() -> dict[str, str]:
    """User and group of the files, CA bundle, package index, and CPUs where this host has fewer than Compose gives."""
    values = {"CROSSQUANT_UID": str(os.getuid()), "CROSSQUANT_GID": str(os.getgid())}
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle and Path(bundle).is_file():
        values["CROSSQUANT_CA_BUNDLE"] = bundle
    if index := probes.index_url():
        values["PIP_INDEX_URL"] = index
    if facts.cpus() != list(range(facts.cores())) or facts.cores() < COMPOSE_CPUS:
        values["CROSSQUANT_CPUS"] = ",".join(map(str, facts.cpus()[:COMPOSE_CPUS]))
    return values | {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}


def write_env(values: dict[str, str], path: Path = ENV) -> bool:
    """Put `values` into `path`, leaving its other lines as they are. False if nothing changed."""
    old = path.read_text() if path.exists() else ""
    kept = [line for line in old.splitlines() if line.partition("=")[0] not in values]
    new = "\n".join([*kept, *(f"{key}={value}" for key, value in values.items())]) + "\n"
    if new != old:
        path.touch(mode=0o600)  # an index address may hold a password
        path.write_text(new)
    return new != old


def get_base(client: docker.DockerClient) -> str:
    """Pull the base image or, where no registry answers, make it from Debian's packages."""
    name = probes.base_image()
    try:
        if probes.registry_answers(client):
            client.images.pull(name)
            return f"pulled {name}"
    except APIError as error:
        raise CrossquantError(f"no base image {name}: {error}; run `make docker-host`, then again") from None
    make_base(name)
    return f"made {name} from Debian's packages"


def make_base(name: str) -> None:
    """Make the base image from Debian's packages; what the tools say goes to a log."""
    path = logs.make_path("base-image.log")
    with path.open("wb") as file:
        command = [str(ROOT / "images" / "base" / "build"), name]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise CrossquantError(
            f"no base image {name}: {logs.read_tail(path, 1)[-1]}; the log is {path}; "
            "run `make docker-host`, then again"
        )
