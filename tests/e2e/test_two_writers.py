"""Compose and the driver on one volume at a time: each artifact is made once, and whole."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Driver, start_process

from driver.engines.venv import ensure_environment
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.artifacts.store import ROOT
from shared.contract import Plan, read

pytestmark = pytest.mark.docker
COMPOSE = ["docker", "compose", "--project-name", "test-two-writers", "--progress", "quiet"]
PATIENCE = 300  # seconds


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """An experiment of one's own on an empty volume."""
    command = [ensure_environment("keras"), "tests/e2e/own_files.py", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    own = Driver(tmp_path / "volumes", "docker")
    model, data = tmp_path / "mein modell ü.keras", tmp_path / "données à moi"
    assert own("new", "--no-check", "--model", str(model), "--data", str(data), "--name", "mine").exit_code == 0
    return own


def test_compose_and_the_driver_work_on_one_volume(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"EXPERIMENT": "mine", "CROSSQUANT_UID": str(os.getuid()), "CROSSQUANT_GID": str(os.getgid())}
    environment = driver.environment | own
    up = [*COMPOSE, "up", "--no-color", "--abort-on-container-failure"]
    compose = start_process(up, environment, stderr=subprocess.STDOUT)
    try:
        wait_for(driver.volumes / "mine" / "keras" / ".locks", compose)
        done = driver("run", "--experiment", "mine")
        output, _ = compose.communicate(timeout=PATIENCE)
    finally:
        subprocess.run([*COMPOSE, "down"], cwd=ROOT, env=environment, check=False, capture_output=True)
    assert compose.returncode == 0, output
    assert done.exit_code == 0, done.stdout + done.stderr
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(driver.volumes))
    freshness = Freshness(read(Plan, store.plan_path("mine")))
    assert {freshness.state(step) for step in freshness.plan.steps if step.default} <= {"fresh", "not applicable"}
    assert driver.leftovers() == []
    names = re.findall(r"(\S+) +(?:ok|unsupported) +[0-9.]+ s", output + done.stdout)
    assert sorted(set(names)) == sorted(names), "nothing was made twice"


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Until Compose's first stage has begun."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
