"""Unit tests start nothing and touch no real volume: they speak to files and to servers of their own."""

import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> NoReturn:
        pytest.fail(f"a unit test starts a subprocess: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.fixture(autouse=True)
def own_volumes(volumes: Path) -> None:
    """Also for a test that doesn't ask for the folder."""
