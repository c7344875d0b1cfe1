"""What all tests share: a volume of their own, and where the images' environments are."""

from pathlib import Path

import pytest


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of volumes/."""
    folder = tmp_path / "volumes"
    folder.mkdir()
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(folder))
    return folder
