"""A server on loopback for what is fetched."""

from collections.abc import Iterator

import pytest
from download_server import Server, serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve(Server(), monkeypatch) as server:
        yield server
