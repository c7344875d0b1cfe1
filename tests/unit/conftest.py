"""Unit tests start nothing and touch no real volume: they speak to files and to servers of their own."""

import gc
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from driver.analysis import bootstrap
from driver.plan import schedule
from shared.artifacts import store
from shared.artifacts.code_hash import CodeHasher
from shared.contract import Step

CHECKOUT, TREE_HASH = store.ROOT, store.tree_hash
_drawn: dict[bytes, str] = {}
_trees: dict[tuple[str, ...], str] = {}


FEWER_RESAMPLES = 200


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: looking for garbage among them takes a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def resample_less(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tests compare variants, and none of their claims needs all resamples: those that do are marked."""
    if request.node.get_closest_marker("all_resamples") is None:
        monkeypatch.setattr(bootstrap, "RESAMPLES", FEWER_RESAMPLES)


@pytest.fixture(autouse=True)
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> NoReturn:
        pytest.fail(f"a unit test starts a subprocess: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.fixture(autouse=True)
def own_volumes(volumes: Path) -> None:
    """Also for a test that doesn't ask for the folder."""


class OwnCode(CodeHasher):
    """The hashes of the checkout's own code, which no test edits: each is computed once."""

    def __init__(self) -> None:
        super().__init__()
        self.hashes: dict[tuple[object, ...], str] = {}

    def of_step(self, step: Step) -> str:
        key = (step.image, step.entry, *sorted(step.modules.items()))
        if key not in self.hashes:
            self.hashes[key] = super().of_step(step)
        return self.hashes[key]


OWN_CODE = OwnCode()


@pytest.fixture(autouse=True)
def hash_own_code_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tests make a plan or a fingerprint. A test that edits code does so in a checkout of its own."""

    def hash_tree(*folders: str) -> str:
        if store.ROOT != CHECKOUT:
            return TREE_HASH(*folders)
        if folders not in _trees:
            _trees[folders] = TREE_HASH(*folders)
        return _trees[folders]

    monkeypatch.setattr(store, "tree_hash", hash_tree)
    monkeypatch.setattr(schedule, "CodeHasher", lambda: OWN_CODE if store.ROOT == CHECKOUT else CodeHasher())


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that asks for none: of the tables of a page, or of when a comparison is made and where it is written.
    Drawing takes most of the time of a page.
    """
    monkeypatch.setattr("driver.report.plots.drawing.draw", lambda name, *_: f'<svg data-plot="{name}"></svg>')


@pytest.fixture(autouse=True, scope="module")
def draw_once() -> Iterator[None]:
    """What is drawn of the same data is drawn once: hundreds of pages have the same plots and thumbnails. Some are
    made by fixtures of a whole module.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module, function in find_drawing():
            patch.setattr(module, function, remember(getattr(module, function)))
        yield


def find_drawing() -> list[tuple[ModuleType, str]]:
    """The functions that draw, of the modules that somebody has imported: importing Matplotlib takes a second."""
    names = (("driver.report.plots.drawing", "draw"), ("driver.report.page.thumbnails", "uri"))
    return [(sys.modules[name], function) for name, function in names if name in sys.modules]


@pytest.fixture
def draw_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of the drawing itself: nothing that another one has drawn is used again.

    What was imported after the module's tests began remembers nothing.
    """
    for module, function in find_drawing():
        draw = getattr(module, function)
        monkeypatch.setattr(module, function, getattr(draw, "__wrapped__", draw))


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
