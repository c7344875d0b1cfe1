"""Fixtures of the tests of the onnx image."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.emulation_fixtures import dataset, emulator, labels

__all__ = ["dataset", "emulator", "labels"]


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
