"""What the tests of all images share. Each runs inside its image's environment alone (`tests/inside.py`).

Elsewhere they are not collected. An optional image may have no environment: `tests/e2e/test_inside.py` says so then.
"""

import sys
from pathlib import Path

import pytest

from shared.artifacts.store import ROOT

HERE = Path(__file__).parent
# pytest has put this folder into the search path, where `import torch` would find the folder of that name.
sys.path[:] = [entry for entry in sys.path if entry != str(HERE)]
ENVIRONMENT = Path(sys.prefix)
IMAGE = ENVIRONMENT.name if ENVIRONMENT.parent.name == ".venvs" else ""
collect_ignore_glob = [
    f"{folder.name}/test_*.py" for folder in HERE.iterdir() if folder.is_dir() and folder.name != IMAGE
]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the runner is started with."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default experiment's model, as keras.fp32 has it."""
    folder = tmp_path_factory.mktemp("keras.fp32")
    (folder / "model.keras").write_bytes((ROOT / "driver/models/resnet8-cifar10.keras").read_bytes())
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of the user's model."""
    folder = tmp_path / "mein Modell ü"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a stage is to write."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
