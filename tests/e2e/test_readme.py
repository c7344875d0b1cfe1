"""Commands that the README shows and that no other test runs as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import Driver, Finished

from shared.artifacts.store import ROOT

README = (ROOT / "README.md").read_text()


def shown(command: str) -> list[str]:
    """The lines that the README shows below a command."""
    block = re.search(rf"^\$ {re.escape(command)}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def test_make_run_is_the_driver_s_run() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    last = done.stdout.strip().splitlines()[-1]
    assert last == "./crossquant run --experiment resnet8-cifar10"
    assert " build" in done.stdout, "the images come first"


def test_a_python_without_the_driver_s_packages():
    """The system's, say: whoever types what the documentation shows gets one line."""
    command = [sys.executable, "-S", "-m", "driver", "list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {sys.executable} lacks what the driver needs: use ./crossquant, which makes .venv\n"


def test_inspect_shows_the_default_model(driver: Driver) -> None:
    command = "driver/models/resnet8-cifar10.keras"
    done = driver("inspect", command, "--engine", driver.engine)
    assert done.exit_code == 0, done.stdout + done.stderr
    printed = [line.split() for line in done.stdout.splitlines()]
    lines = [line.split() for line in shown(f"./crossquant inspect {command}")]
    facts = [line for line in lines if line and (line[0] in ("inputs", "outputs", "layers", "operator"))]
    rows = [line for line in lines if len(line) == 8 and line[1].isdigit()]
    assert len(facts) == 4 and len(rows) == 3
    assert [line for line in (*facts, *rows) if line not in printed] == []


def test_one_target_with_all_it_needs(finished: Finished) -> None:
    done = finished.driver.run("onnx.uint8")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert f"onnx.uint8: {finished.driver.folder('onnx.uint8', 'onnx')}/" in done.stdout


def test_fetch_brings_what_a_run_needs(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "volumes")
    done = driver("fetch", "--sample")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert (driver.volumes / "inputs" / "cifar10-sample" / "artifact.json").exists()
    assert (driver.volumes / "inputs" / "models" / "resnet8-cifar10" / "resnet8-cifar10.keras").exists()
    listed = driver("list")
    assert {line.split()[3] for line in listed.stdout.splitlines()[2:] if not line.startswith(" ")} == {"absent"}
