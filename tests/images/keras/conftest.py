"""Fixtures of the tests of the keras image."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of the user's model."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four samples of three numbers, without labels."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    np.save(folder / "input_0.npy", np.zeros((4, 3), "f"))
    (folder / "about.json").write_text('{"task": "fidelity"}')
    return folder


@pytest.fixture
def user(tmp_path: Path) -> object:
    """A user's own data set."""
    from tests.images.keras.data_makers import User  # noqa: PLC0415 - Pillow is in this image alone

    return User(tmp_path)
