"""These tests run inside the torch image's environment alone (`tests/inside.py`); elsewhere they are not collected."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("onnx2torch") else ["test_*.py"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a stage is to write."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """PyTorch's engine and threads are the process's: no test leaves its own to the next."""
    import torch  # noqa: PLC0415 - only this image has it

    engine, threads = torch.backends.quantized.engine, torch.get_num_threads()
    yield
    torch.backends.quantized.engine = engine
    torch.set_num_threads(threads)
