"""What the tests of emulated CPUs share: a data set of raw images, and its labels in another folder."""

from pathlib import Path

import numpy as np
import pytest

from shared.emulation import cpus
from shared.errors import CrossquantError
from shared.runner import sandbox
from tests.images.sample_folders import save_samples

IMAGES = 40


@pytest.fixture
def emulator() -> None:
    try:
        cpus.emulator("haswell")
    except CrossquantError as error:
        pytest.skip(str(error))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    from tests.images import models  # noqa: PLC0415 - needs onnx, which the driver's environment lacks

    return save_samples(tmp_path / "dataset", models.images(IMAGES).astype(np.uint8))


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labels apart from the samples. Hiding them would last for the whole process, so here the call is only
    recorded, in the file `hidden`.
    """
    monkeypatch.setattr(sandbox, "hide", lambda path: (tmp_path / "hidden").write_text(str(path)))
    return save_samples(tmp_path / "labels", labels=(np.arange(IMAGES) % 10).astype(np.uint8))
