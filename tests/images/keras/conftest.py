"""Fixtures of the tests of the keras image."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.sample_folders import save_samples


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four samples of three numbers, without labels."""
    return save_samples(tmp_path / "dataset", np.zeros((4, 3), "f"), about={"task": "fidelity"})


@pytest.fixture
def user(tmp_path: Path) -> object:
    """A user's own data set."""
    from tests.images.keras.data_makers import User  # noqa: PLC0415 - Pillow is in this image alone

    return User(tmp_path)
