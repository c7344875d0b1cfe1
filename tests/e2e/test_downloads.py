"""A model and data from an address that answers wrongly at first: the next run gets them again."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Driver, Edit
from download_server import Server, serve

from shared.artifacts.store import ROOT

MODEL = (ROOT / "driver" / "models" / "resnet8-cifar10.keras").read_bytes()
PAGE = b"<!DOCTYPE html><html><title>Log in to this network</title></html>"


@pytest.fixture(autouse=True)  # before a driver gets its environment
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It doesn't say how long the content is, so that a short answer looks whole."""
    with serve(Server(length=False, ranges=False), monkeypatch) as server:
        yield server


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
    server.status = 503
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert done.exit_code == 3
    assert "HTTP 503: going on with the copy on the volume" in done.stdout
    server.status, server.content = 200, MODEL
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert f"keras.fp32 could not load what {server.address}/our.keras gave: downloading it again" in done.stdout
    requests = len(server.requests)
    done = driver.run("keras.fp32", "--experiment", from_address)
    assert (done.exit_code, done.made(), len(server.requests)) == (0, [], requests)


def make_npz() -> bytes:
    random, content = np.random.default_rng(1), io.BytesIO()
    members = {}
    for split, count in {"train": 60, "test": 40}.items():
        members[f"x_{split}"] = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
        members[f"y_{split}"] = random.integers(0, 10, count)
    np.savez(content, **members)
    return content.getvalue()


def test_data_that_were_cut_short(driver: Driver, server: Server, experiment: Callable[[Edit], str]) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["dataset"] = {"name": "mine", "sources": [{"url": f"{server.address}/data.npz"}]}
        content["data"] = {"kind": "npz"}
        content["calibration"] = {"images": 0}

    path, whole = experiment(edit), make_npz()
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
