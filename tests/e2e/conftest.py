"""Runs of the real driver with the real frameworks, on the embedded sample, through both engines."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from driver.engines import bubblewrap
from driver.experiment import recipes
from driver.host import probes
from shared.artifacts.store import ROOT
from shared.measure.instructions import this_cpu

DEFAULT = ROOT / "driver" / "experiment" / "builtin" / "resnet8-cifar10.yaml"
LOSING = {"onnx.u8s8", "onnx.u8s8-percentile", "torch.onednn"} if this_cpu().saturates else set()
"""The rows of the default experiment that lose ten points on this CPU: none where it has VNNI, or is no x86."""
ENGINES = ["venv", pytest.param("docker", marks=pytest.mark.docker)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") and (lack := docker_lack()):
        pytest.skip(lack)
    if item.get_closest_marker("mounts") and os.geteuid() != 0:
        pytest.skip("mounting a small or read-only disk needs root")
    if item.get_closest_marker("sandbox") and (lack := bubblewrap.try_sandbox().lack):
        pytest.skip(lack)


def docker_lack() -> str:
    """Why tests of containers can't run here; "" where they can."""
    if probes.connect() is None:
        return "no Docker daemon answers: `make docker-host` sets one up"
    return "" if probes.compose_version() else "no Compose v2: `make docker-host` installs it"


def summarize_row(row: dict[str, Any]) -> dict[str, Any]:
    """The accuracy and the drift of a row, by the names of `Variant`."""
    accuracy = next((metric for metric in row["metrics"] if metric["name"] == "accuracy"), {})
    delta, drift = accuracy.get("delta"), row["drift"] or {}
    return {
        "accuracy": accuracy.get("value"),
        "delta_pp": None if delta is None else round(100 * delta, 6),
        "agreement": drift.get("agreement"),
        "max_abs_diff": drift.get("max_abs"),
    }


@dataclass(frozen=True)
class Done:
    """A driver that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    def made(self) -> list[str]:
        """The artifacts whose stages ran, in order: each has a line with its seconds, after its number."""
        return re.findall(
            r"^(?:\[ *\d+/\d+\] )?(\S+) +(?:ok|unsupported|failed) +[0-9.]+ s\b", self.stdout, re.MULTILINE
        )


PROCESSES: list["subprocess.Popen[str]"] = []
"""All that the present test has started by `start_process`."""
PATIENCE = 30  # seconds for a driver to stop its stages and containers


def start_process(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path = ROOT, **options: Any
) -> "subprocess.Popen[str]":
    """Start a command, with pipes, that does not outlive the test, whether the test waits for it or fails before."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    PROCESSES.append(subprocess.Popen(command, cwd=cwd, env=environment, text=True, **options))
    return PROCESSES[-1]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """A hook, not a fixture: it is called after a fixture of any scope that failed, too."""
    while PROCESSES:
        stop_process(PROCESSES.pop())


def stop_process(process: "subprocess.Popen[str]") -> None:
    with process:  # closes the pipes, which nobody may have read
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


class Driver:
    """`python -m driver` on a volume of its own."""

    def __init__(self, volumes: Path, engine: str = "venv") -> None:
        self.volumes, self.engine = volumes, engine
        self.environment = {**os.environ, "CROSSQUANT_VOLUMES": str(volumes), "COLUMNS": "120"}

    def __call__(self, *arguments: str, **environment: str) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str, **environment: str) -> Done:
        return self("run", "--sample", "--engine", self.engine, *arguments, **environment)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return self.start_command("run", "--sample", "--engine", self.engine, *arguments, **environment)

    def start_command(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return start_process(self.command(*arguments), self.environment | environment)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "driver", *arguments]

    def comparison(self, experiment: str = "resnet8-cifar10") -> dict[str, Any]:
        path = self.volumes / experiment / "comparison" / "comparison.json"
        content: dict[str, Any] = json.loads(path.read_text())
        return content

    def rows(self, experiment: str = "resnet8-cifar10") -> dict[str, dict[str, Any]]:
        return {row["name"]: row | summarize_row(row) for row in self.comparison(experiment)["variants"]}

    def manifest(self, artifact: str, image: str, experiment: str = "resnet8-cifar10") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder(artifact, image, experiment) / "artifact.json").read_text())
        return content

    def folder(self, artifact: str, image: str, experiment: str = "resnet8-cifar10") -> Path:
        return self.volumes / experiment / image / artifact

    def leftovers(self) -> list[Path]:
        """What a stage or a download left half-written."""
        return [path for path in self.volumes.rglob("*") if path.name.endswith((".partial", ".part"))]


Edit = Callable[[dict[str, Any]], object]


def experiment_for_this_cpu() -> dict[str, Any]:
    """The default experiment with its recipes written out, and without other CPUs."""
    content: dict[str, Any] = yaml.safe_load(DEFAULT.read_text())
    left = {key: value for key, value in content.items() if key not in ("targets", "recommended")}
    return left | {"recipes": recipes.resolve_recipes(content["recipes"])}


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[[Edit], str]:
    """Write the default experiment, on this CPU alone, with a change; gives the file's name for --experiment."""

    def write(edit: Edit) -> str:
        content = experiment_for_this_cpu()
        edit(content)
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return str(path)

    return write


@pytest.fixture(params=ENGINES)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    """A driver with an empty volume, for each engine."""
    return Driver(tmp_path / "volumes", request.param)


@pytest.fixture
def docker_driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path / "volumes", "docker")


@dataclass(frozen=True)
class Finished:
    """The default experiment on the embedded sample, run once for all tests that only look."""

    driver: Driver
    done: Done


Finish = Callable[[str], Finished]


@pytest.fixture(scope="session")
def finish(tmp_path_factory: pytest.TempPathFactory) -> Finish:
    """Run the default experiment by the engine that is named; once, however often it is asked for."""

    @cache
    def run(engine: str) -> Finished:
        driver = Driver(tmp_path_factory.mktemp(engine) / "volumes", engine)
        return Finished(driver, driver.run())

    return run


@pytest.fixture(scope="session", params=ENGINES)
def finished(request: pytest.FixtureRequest, finish: Finish) -> Finished:
    return finish(request.param)


def read_until(process: "subprocess.Popen[str]", beginning: str) -> str:
    """All that `process` prints up to the line that starts with `beginning`; fails if it ends before. How many steps
    are done stands before it.
    """
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if re.sub(r"^\[ *\d+/\d+\] ", "", line).startswith(beginning):
            return seen
    pytest.fail(f"the driver ended before '{beginning}': {seen}{process.stderr.read() if process.stderr else ''}")


def wait_for_end(process: "subprocess.Popen[str]") -> Done:
    stdout, stderr = process.communicate()
    return Done(process.returncode, stdout, stderr)


def containers(of: Driver) -> list[Any]:
    """Containers of this driver's volume, in whatever state."""
    client = probes.connect()
    assert client is not None
    every = client.containers.list(all=True, ignore_removed=True)  # others come and go
    return [item for item in every if item.labels.get("crossquant.folder", "").startswith(str(of.volumes.resolve()))]
