"""Fixtures of the tests of the onnx image."""

from pathlib import Path

import pytest

from tests.images.emulation_fixtures import dataset, emulator, labels
from tests.images.sample_folders import save_samples

__all__ = ["dataset", "emulator", "labels"]


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """120 images: not a multiple of the quantizer's batch."""
    from tests.images.models import images  # noqa: PLC0415 - needs onnx

    return save_samples(tmp_path / "calibration", images(120))


@pytest.fixture
def folded(tmp_path: Path) -> Path:
    """A folded model, with the exported file beside it."""
    from images.onnx import fold_batchnorm  # noqa: PLC0415 - needs onnxruntime
    from tests.images import models  # noqa: PLC0415 - needs onnx

    folder = tmp_path / "folded"
    folder.mkdir()
    fold_batchnorm.run(models.convolutional(tmp_path / "exported"), folder, enabled=True)
    return folder
