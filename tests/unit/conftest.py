"""Unit tests start nothing: what they test is pure, or speaks to files and to servers of their own."""

import subprocess
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> NoReturn:
        pytest.fail(f"a unit test starts a subprocess: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
