"""Driver and runner compute the same hash of a step's code: each by its own Python, from its own files."""

import json
import subprocess
from pathlib import Path

import pytest

from driver.catalog import declarations
from driver.plan import expand
from shared.artifacts.code_hash import CodeHasher
from shared.artifacts.store import ROOT

IMAGES = declarations.load(declarations.list_optional())
HASHES = """
import json, sys
from pathlib import Path
from shared.artifacts.code_hash import CodeHasher
from shared.contract import Step
hasher = CodeHasher(Path(sys.argv[1]))
steps = [Step(**{**item, "inputs": (), "optional": ()}) for item in json.load(sys.stdin)]
print(json.dumps([hasher.of_runner(), *map(hasher.of_step, steps)]))
"""


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_s_own_python_computes_what_the_driver_does(image: str, tmp_path: Path) -> None:
    """In the container there are shared/ and the one image alone."""
    python = ROOT / ".venvs" / image / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there")
    (tmp_path / "images").mkdir()
    (tmp_path / "shared").symlink_to(ROOT / "shared")
    (tmp_path / "images" / image).symlink_to(ROOT / "images" / image)
    steps = [expand.make_step(stage, image, stage.output, {}) for stage in IMAGES[image]]
    given = [
        {
            "output": step.output,
            "image": image,
            "run": step.run,
            "parameters": {},
            "default": True,
            "module": step.module,
            "modules": step.modules,
        }
        for step in steps
    ]
    command = [python, "-c", HASHES, tmp_path]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True, cwd=ROOT)
    hasher = CodeHasher()
    assert json.loads(done.stdout) == [hasher.of_runner(), *map(hasher.of_step, steps)]
