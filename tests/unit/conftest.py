"""Unit tests start nothing and touch no real volume: they speak to files and to servers of their own."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import pytest

_drawn: dict[bytes, str] = {}


@pytest.fixture(autouse=True)
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> NoReturn:
        pytest.fail(f"a unit test starts a subprocess: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.fixture(autouse=True)
def own_volumes(volumes: Path) -> None:
    """Also for a test that doesn't ask for the folder."""


@pytest.fixture
def draw_anew() -> None:
    """For a test of the drawing itself: nothing that another one has drawn is used again."""


@pytest.fixture(autouse=True)
def draw_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn of the same data is drawn once: hundreds of pages have the same plots and thumbnails."""
    if "draw_anew" in request.fixturenames:
        return
    for name, function in (("plots.drawing", "draw"), ("page.thumbnails", "uri")):
        module = sys.modules.get(f"driver.report.{name}")
        if module is not None:  # importing Matplotlib takes a second
            monkeypatch.setattr(module, function, remember(getattr(module, function)))


def remember(draw: Callable[..., str]) -> Callable[..., str]:
    @wraps(draw)
    def recall(*arguments: Any, **options: Any) -> str:
        shown = [(each.mode, each.size, each.tobytes()) if hasattr(each, "tobytes") else each for each in arguments]
        try:
            key = pickle.dumps((draw.__qualname__, shown, options))
        except (pickle.PicklingError, AttributeError):  # a function that has no name: of a test's own
            return draw(*arguments, **options)
        if key not in _drawn:
            _drawn[key] = draw(*arguments, **options)
        return _drawn[key]

    return recall
