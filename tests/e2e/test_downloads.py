"""A model and data from an address that answers wrongly at first: the next run gets them again."""

import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Driver, Edit

from shared.artifacts.store import ROOT

MODEL = (ROOT / "driver" / "models" / "resnet8-cifar10.keras").read_bytes()
PAGE = b"<!DOCTYPE html><html><title>Log in to this network</title></html>"


class Server:
    """Serves `content` at every path of this host, and doesn't say how long it is; None: no answer."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.asked = 0
        self.address = ""


@pytest.fixture
def server() -> Iterator[Server]:
    manner = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            manner.asked += 1
            if manner.content is None:
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(manner.content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        manner.address = f"http://127.0.0.1:{http.server_port}"
        yield manner
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def from_address(server: Server, experiment: Callable[[Edit], str]) -> str:
    address = f"{server.address}/our.keras"
    return experiment(lambda content: content.update(model={"sources": [{"url": address}]}))


def test_a_page_in_the_place_of_a_model(driver: Driver, server: Server, from_address: str) -> None:
    server.content = PAGE
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert f"{server.address}/our.keras answered with a web page: " in done.stderr
    server.content = MODEL
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert done.exit_code == 0, done.stdout + done.stderr


def test_a_model_that_was_cut_short(driver: Driver, server: Server, from_address: str) -> None:
    server.content = MODEL[: len(MODEL) // 2]
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert done.exit_code == 3
    promise = "which no sha256 vouches for: the next run downloads it again"
    assert promise in done.stdout
    server.content = None
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert done.exit_code == 3
    assert "HTTP 503: going on with the copy on the volume" in done.stdout
    server.content = MODEL
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert f"keras.fp32 could not load what {server.address}/our.keras gave: downloading it again" in done.stdout
    asked = server.asked
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert (done.exit_code, done.made(), server.asked) == (0, [], asked)


def arrays() -> bytes:
    random, content = np.random.default_rng(1), io.BytesIO()
    both = {"train": 60, "test": 40}
    members = {f"x_{split}": random.integers(0, 256, (count, 32, 32, 3), np.uint8) for split, count in both.items()}
    members |= {f"y_{split}": random.integers(0, 10, count) for split, count in both.items()}
    np.savez(content, **members)
    return content.getvalue()


def test_data_that_were_cut_short(driver: Driver, server: Server, experiment: Callable[[Edit], str]) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["dataset"] = {"name": "mine", "sources": [{"url": f"{server.address}/data.npz"}]}
        content["data"] = {"kind": "npz"}
        content["calibration"] = {"images": 0}

    path, whole = experiment(edit), arrays()
    for content in (PAGE, whole[: len(whole) // 2]):
        server.content = content
        done = driver("run", "dataset", "--engine", driver.engine, "--experiment", path)
        assert done.exit_code == (2 if content == PAGE else 3), done.stdout + done.stderr
    assert "the next run downloads it again" in done.stdout
    server.content = whole
    done = driver("run", "dataset", "--engine", driver.engine, "--experiment", path)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.made() == ["data", "dataset"]


@pytest.mark.parametrize(
    "command", [("inspect",), ("new", "--data", "data.csv", "--model")], ids=lambda words: words[0]
)
def test_a_page_that_was_saved_as_a_model(tmp_path: Path, command: tuple[str, ...]) -> None:
    driver = Driver(tmp_path / "volumes")
    (tmp_path / "data.csv").write_text("a,b,class\n1,2,x\n")
    (tmp_path / "my.keras").write_bytes(PAGE)
    words = [str(tmp_path / word) if word == "data.csv" else word for word in command]
    done = driver(*words, str(tmp_path / "my.keras"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{tmp_path}/my.keras is a web page, not a model: get the file itself" in done.stderr
    assert len(done.stderr.splitlines()) == 1
