"""The tests of the stages, each run inside its image's own environment."""

import subprocess

import pytest

from driver.venv_engine import ensure
from shared.store import ROOT


@pytest.mark.parametrize("image", ["keras", "onnx", "torch"])
def test_the_stages_of(image: str) -> None:
    command = [ensure(image), "tests/inside.py", f"tests/images/{image}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
