"""A server on loopback for the tests of downloads."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

CONTENT = bytes(range(256)) * 4096  # 1 MiB: several blocks


@dataclass
class Server:
    """Serves `content` at every path of `address` in the manner that its fields say; remembers each request."""

    content: bytes = CONTENT
    ranges: bool = True
    cut_after: int | None = None
    status: int = 200
    length: bool = True
    compresses: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)  # the headers of each
    address: str = ""
    path: str = "/data/a.bin"

    @property
    def url(self) -> str:
        return self.address + self.path

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(dict(handler.headers))
        asked_range = handler.headers.get("Range") if self.ranges else None
        start = int(asked_range.removeprefix("bytes=").removesuffix("-")) if asked_range else None
        if self.status != 200 or (start is not None and start >= len(self.content)):
            handler.send_error(self.status if self.status != 200 else 416)
            return
        body = self.content
        packed = self.compresses and "gzip" in handler.headers.get("Accept-Encoding", "")
        body = (gzip.compress(body) if packed else body)[start or 0 :]
        handler.send_response(200 if start is None else 206)
        if packed:
            handler.send_header("Content-Encoding", "gzip")
        if start is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.cut_after])


@contextmanager
def serve(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Let it answer until the end, on a port of its own, which no proxy of this host stands before."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.address = f"http://127.0.0.1:{http.server_port}"
        yield server
        http.shutdown()
        thread.join()
