"""These tests run inside the keras image's environment alone (`tests/inside.py`); elsewhere they are not collected."""

import importlib.util
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("tensorflow") else ["test_*.py"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a stage is to write."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def user(tmp_path: Path) -> object:
    """Somebody's own data."""
    from tests.images.keras.data_makers import User  # noqa: PLC0415 - Pillow is in this image alone

    return User(tmp_path)
