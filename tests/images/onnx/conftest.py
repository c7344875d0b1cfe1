"""These tests run inside the onnx image's environment alone (`tests/inside.py`); elsewhere they are not collected."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

collect_ignore_glob = [] if importlib.util.find_spec("onnxruntime") else ["test_*.py"]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the runner sets for a stage."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that a stage writes to."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """120 images: not a multiple of the quantizer's batch."""
    from tests.images.models import images  # noqa: PLC0415 - needs onnx

    folder = tmp_path / "calibration"
    folder.mkdir()
    np.save(folder / "input_0.npy", images(120))
    return folder


@pytest.fixture
def folded(tmp_path: Path) -> Path:
    """A folded model, with the exported file beside it."""
    from images.onnx import fold_batchnorm  # noqa: PLC0415 - needs onnxruntime
    from tests.images import models  # noqa: PLC0415 - needs onnx

    folder = tmp_path / "folded"
    folder.mkdir()
    fold_batchnorm.run(models.convolutional(tmp_path / "exported"), folder, enabled=True)
    return folder
