"""What a container may do, and that Compose and the driver start it in the same way."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driver.catalog import declarations
from driver.engines.docker import LEASE, DockerEngine, lease, settings
from driver.experiment import loader
from driver.host import facts, probes
from driver.inputs import fetching
from driver.plan import schedule
from shared.artifacts.store import ROOT
from shared.command import DEFAULT_EXPERIMENT
from shared.contract import Plan

pytestmark = pytest.mark.docker

CHOSEN = loader.load(loader.find(DEFAULT_EXPERIMENT), declarations.load())
IMAGES = list(declarations.load())
PROBE = """
import os, socket, sys
print("user", os.getuid(), os.getgid())
print("threads", len(os.sched_getaffinity(0)))
for path in ("/app/written", "/opt/venv/written", "/app/volumes/written", "/app/volumes/inputs/written",
             "/app/volumes/resnet8-cifar10/{other}/written", "/app/volumes/resnet8-cifar10/{image}/written",
             "/tmp/written"):
    try:
        open(path, "w").close()
        print("writable", path)
    except OSError as error:
        print("refused", path)
try:
    socket.create_connection(("192.0.2.1", 80), 2)
except OSError as error:
    print("network", error.strerror or error)
print("socket", os.path.exists("/var/run/docker.sock"))
print("capabilities", [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0])
print("no_new_privileges", [line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")][0])
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(tmp_path))
    for image in IMAGES:
        (tmp_path / CHOSEN.name / image).mkdir(parents=True)
    (tmp_path / "inputs").mkdir()
    return schedule.make(CHOSEN, declarations.load(), fetching.list_locations(CHOSEN, sample=True), facts.cores())


def inspect(name: str) -> dict[str, Any]:
    """What matters of a container's settings, in one form for both ways to make it."""
    client = probes.connect()
    assert client is not None
    attributes = client.containers.get(name).attrs
    config = attributes["HostConfig"]
    mounts = config.get("Mounts") or []
    binds = [bind.split(":") for bind in config.get("Binds") or []]
    return {
        "read_only": config["ReadonlyRootfs"],
        "capabilities": (sorted(config["CapDrop"]), config["CapAdd"] or []),
        "security": [option.partition(":")[0] for option in config["SecurityOpt"]],
        "network": config["NetworkMode"],
        "memory": config["Memory"],
        "cpus": config["CpusetCpus"],
        "tmpfs": config["Tmpfs"],
        "privileged": config["Privileged"],
        "user": attributes["Config"]["User"],
        "entrypoint": attributes["Config"]["Entrypoint"],
        "mounts": sorted(
            [(item["Source"], item["Target"], item.get("ReadOnly", False)) for item in mounts]
            + [(source, target, "ro" in rest) for source, target, *rest in binds]
        ),
        "image": attributes["Image"],
    }


@pytest.fixture
def composed(tmp_path: Path, made: Plan) -> Iterator[dict[str, dict[str, Any]]]:
    """The settings of the containers that `docker compose create` makes, by service."""
    compose = ["docker", "compose", "--project-name", "crossquant-test"]
    environment = {
        **os.environ,
        "CROSSQUANT_VOLUMES": str(tmp_path),
        "CROSSQUANT_UID": str(os.getuid()),
        "CROSSQUANT_GID": str(os.getgid()),
        "CROSSQUANT_CPUS": ",".join(map(str, facts.cpus()[: made.threads])),
    }
    command = [*compose, "create", "--no-build"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    try:
        ids = subprocess.run(
            [*compose, "ps", "--all", "--format", "json"], cwd=ROOT, env=environment, check=True, capture_output=True
        ).stdout
        rows = [json.loads(line) for line in ids.splitlines()]
        yield {row["Service"]: inspect(row["ID"]) for row in rows}
    finally:
        subprocess.run([*compose, "down"], cwd=ROOT, env=environment, check=True, capture_output=True)


def test_compose_and_the_driver_start_a_stage_in_the_same_way(made: Plan, composed: dict[str, dict[str, Any]]) -> None:
    client = probes.connect()
    assert client is not None
    for image in IMAGES:
        container = client.containers.create(f"crossquant-{image}", **settings(made, image, CHOSEN.limits))
        try:
            assert inspect(container.id) == composed[image]
        finally:
            container.remove()


def test_a_service_of_compose_is_locked_down(composed: dict[str, dict[str, Any]]) -> None:
    assert set(composed) == {"prepare", "fetch", *IMAGES, "compare"}
    for name, service in composed.items():
        assert service["read_only"] and not service["privileged"], name
        assert service["capabilities"][0] == ["ALL"] and service["security"] == ["no-new-privileges"], name
        assert not [source for source, *_ in service["mounts"] if "docker.sock" in source], name
        assert (service["network"] == "none") == (name != "fetch"), name
        assert (service["user"] == f"{os.getuid()}:{os.getgid()}") or name == "prepare"
    assert {name.removeprefix("CAP_") for name in composed["prepare"]["capabilities"][1]} == {"CHOWN", "DAC_OVERRIDE"}


@pytest.mark.parametrize("image", IMAGES)
def test_a_stage_can_write_its_own_folder_and_nothing_else(made: Plan, image: str) -> None:
    client = probes.connect()
    assert client is not None
    options = settings(made, image, CHOSEN.limits) | {"user": "1234:1234"}
    (own,) = [Path(mount["Source"]) for mount in options["mounts"] if not mount["ReadOnly"]]
    own.chmod(0o777)
    own.parents[1].chmod(0o755)
    other = next(name for name in IMAGES if name != image)
    code = PROBE.format(image=image, other=other)
    output = client.containers.run(
        f"crossquant-{image}", ["-c", code], entrypoint="python", remove=True, stderr=True, **options
    )
    assert output.decode().splitlines() == [
        "user 1234 1234",
        f"threads {made.threads}",
        "refused /app/written",
        "refused /opt/venv/written",
        "refused /app/volumes/written",
        "refused /app/volumes/inputs/written",
        f"refused /app/volumes/resnet8-cifar10/{other}/written",
        f"writable /app/volumes/resnet8-cifar10/{image}/written",
        "writable /tmp/written",
        "network Network is unreachable",
        "socket False",
        "capabilities 0000000000000000",
        "no_new_privileges 1",
    ]


@pytest.mark.parametrize("image", [*IMAGES, "driver"])
def test_no_ca_bundle_is_baked_into_an_image(image: str) -> None:
    client = probes.connect()
    assert client is not None
    code = (
        "import os; print(os.path.exists('/run/secrets/ca'), 'SSL_CERT_FILE' in os.environ, 'PIP_CERT' in os.environ)"
    )
    output = client.containers.run(f"crossquant-{image}", ["-c", code], entrypoint="python", remove=True)
    assert output.decode().split() == ["False", "False", "False"]


def test_torch_brings_no_cuda() -> None:
    client = probes.connect()
    assert client is not None
    code = "import torch; print(torch.version.cuda, torch.__version__)"
    output = client.containers.run("crossquant-torch", ["-c", code], entrypoint="python", remove=True)
    assert output.decode().split() == ["None", "2.13.0+cpu"]


def created(engine: DockerEngine, made: Plan, lease_name: str) -> Any:
    options = settings(made, "onnx", CHOSEN.limits)
    return engine.create("onnx", [], {**options, "labels": {**options["labels"], LEASE: lease_name}})


def test_compose_takes_no_container_of_the_driver_for_its_own(made: Plan) -> None:
    """An image that Compose has built carries its labels, and containers inherit them."""
    engine = DockerEngine(CHOSEN.limits)
    project = engine.client.images.get("crossquant-onnx").labels["com.docker.compose.project"]
    container = created(engine, made, "none")
    try:
        command = ["docker", "compose", "--project-name", project, "ps", "--all", "--quiet"]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        assert container.id not in done.stdout.split()
        assert not [label for label, value in container.labels.items() if label.startswith("com.docker.") and value]
    finally:
        container.remove(force=True)


def test_a_container_is_removed_when_its_driver_is_gone_and_not_before(made: Plan) -> None:
    engine = DockerEngine(CHOSEN.limits)
    client = engine.client
    with lease(made) as name:
        wanted, forgotten = created(engine, made, name), created(engine, made, "a driver that is gone")
        engine.clear(made)
        left = {item.id for item in client.containers.list(all=True, ignore_removed=True)}
        assert wanted.id in left
        assert forgotten.id not in left
    engine.clear(made)
    assert wanted.id not in {item.id for item in client.containers.list(all=True, ignore_removed=True)}
