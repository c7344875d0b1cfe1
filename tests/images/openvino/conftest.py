"""What the tests of the openvino image share.

It has no `onnx`. The files come from where they come from in an experiment: from the onnx image's environment.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from driver.engines.venv import ensure_environment
from shared.artifacts.store import ROOT
from tests.images.sample_folders import save_samples


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tests/images/openvino/graphs.py` makes: a folder a model, and the sets of a task that some can do."""
    folder = tmp_path_factory.mktemp("models")
    command = [ensure_environment("onnx"), "-m", "tests.images.openvino.graphs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def calibration(tmp_path: Path, models: Path) -> Path:
    """A set of the images that `convolutional` was asked about."""
    return save_samples(tmp_path / "calibration", np.load(models / "convolutional" / "input_0.npy"))
