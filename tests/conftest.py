"""What all tests share: a volume of their own, and where the images' environments are."""

import os
import signal
from itertools import count
from pathlib import Path

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes its background jobs, and theirs, deaf to it
# Whatever is built on this host: a test that wants an optional image asks for it.
for path in (Path(__file__).resolve().parents[1] / "images").glob("*/compose.yaml"):
    os.environ[f"CROSSQUANT_WITH_{path.parent.name.upper()}"] = "0"


NUMBERS = count()


@pytest.fixture
def volumes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of volumes/."""
    # Numbered here: pytest would read the names of all folders for each new one.
    folder = tmp_path_factory.mktemp(f"volumes-{next(NUMBERS)}", numbered=False)
    monkeypatch.setenv("CROSSQUANT_VOLUMES", str(folder))
    return folder
