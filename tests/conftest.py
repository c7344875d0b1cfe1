"""What all tests share: a volume of their own, and where the images' environments are."""

import gc
import os
import signal
from itertools import count
from pathlib import Path

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes its background jobs, and theirs, deaf to it
gc.set_threshold(50_000)  # as the commands do; cycles are few, and collecting tests makes many objects that stay
# Whatever is built on this host: a test that wants an optional image asks for it.
for path in (Path(__file__).resolve().parents[1] / "images").glob("*/compose.yaml"):
    os.environ[f"CROSSQUANT_WITH_{path.parent.name.upper()}"] = "0"


NUMBERS = count()


def pytest_collection_finish() -> None:
    """What has been imported and collected lives as long as the tests: the collector need not look at it again, and
    forks go on sharing its pages.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def volumes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of volumes/."""
    # Numbered here: pytest would read the names of all folders for each new one, and `mktemp` resolves each path.
    folder = tmp_path_factory.getbasetemp() / f"volumes-{next(NUMBERS)}"
    folder.mkdir(0o700)
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(folder))
    return folder
