"""The tests of the stages, each run inside its image's own environment."""

import subprocess

import pytest

from driver.engines.venv import ensure_environment
from shared.artifacts.store import ROOT

IMAGES = sorted(path.name for path in (ROOT / "tests" / "images").iterdir() if (ROOT / "images" / path.name).is_dir())


@pytest.mark.timeout(3600)  # a whole suite, beside another one on two cores
@pytest.mark.parametrize("image", IMAGES)
def test_the_stages_of(image: str) -> None:
    command = [ensure_environment(image), "tests/inside.py", f"tests/images/{image}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
