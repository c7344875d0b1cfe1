"""What all tests share: a volume of their own, and where the images' environments are."""

from pathlib import Path

import pytest


@pytest.fixture
def volumes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of volumes/."""
    folder = tmp_path_factory.mktemp("volumes")
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(folder))
    return folder
