"""What the tests of the keras image share."""

from pathlib import Path

import pytest


@pytest.fixture
def user(tmp_path: Path) -> object:
    """Somebody's own data."""
    from tests.images.keras.data_makers import User  # noqa: PLC0415 - Pillow is in this image alone

    return User(tmp_path)
