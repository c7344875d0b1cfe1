"""Fixtures of the tests of the torch image."""

from collections.abc import Iterator

import pytest

from tests.images.emulation_fixtures import dataset, emulator, labels

__all__ = ["dataset", "emulator", "labels"]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """PyTorch's engine and threads are the process's: no test leaves its own to the next."""
    import torch  # noqa: PLC0415 - only this image has it

    engine, threads = torch.backends.quantized.engine, torch.get_num_threads()
    yield
    torch.backends.quantized.engine = engine
    torch.set_num_threads(threads)
