"""Cold starts of a null module: each in a fresh process, with its own steps and memory."""

import json
from pathlib import Path

import numpy as np
import pytest

from shared.artifacts.store import ROOT
from shared.errors import StageError
from shared.measure import startup

IMAGES, CLASSES = 30, 3
LABELS = (np.arange(IMAGES) % CLASSES).astype(np.uint8)
MODULE = """
import json, os, sys
import numpy as np

def load(path, threads):
    text = (path / "how.txt").read_text()
    if text == "die":
        sys.exit(7)
    if text == "raise":
        raise ValueError("no such operator")
    if text == "vanish":
        os._exit(0)
    def model(batch):
        [images] = batch
        seen = {"pid": os.getpid(), "threads": threads, "limit": os.environ["OMP_NUM_THREADS"],
                "shape": images.shape, "first": float(images[0, 0, 0, 0]), "type": str(images.dtype)}
        with open(path / "seen.jsonl", "a") as file:
            file.write(json.dumps(seen) + "\\n")
        return (np.ones((len(images), 3), np.float32),)
    return model
"""


@pytest.fixture(autouse=True)
def null_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "null_model.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.chdir(ROOT)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    np.save(
        folder / "input_0.npy", np.arange(IMAGES * 48, dtype=np.uint16).astype(np.uint8).reshape(IMAGES, 4, 4, 3) + 7
    )
    return folder


def variant(tmp_path: Path, name: str, how: str = "", right: int = IMAGES) -> dict[str, Path]:
    """A variant, with predictions of which the first `right` are right."""
    folders = {name: tmp_path / name, f"predictions.{name}": tmp_path / f"predictions.{name}"}
    for path in folders.values():
        path.mkdir()
    (folders[name] / "how.txt").write_text(how)
    answers = np.where(np.arange(IMAGES) < right, LABELS, (LABELS + 1) % CLASSES)
    np.save(folders[f"predictions.{name}"] / "output_0.npy", np.eye(CLASSES, dtype=np.float32)[answers])
    return folders


def measure(available, dataset, repeats=1):
    startup.measure(available, dataset, dataset.parent, "null_model", repeats=repeats)
    return json.loads((dataset.parent / "starts.json").read_text())


def seen(path: Path):
    return [json.loads(line) for line in (path / "seen.jsonl").read_text().splitlines()]


def test_the_steps_of_a_start_follow_each_other(tmp_path, dataset):
    (start,) = measure(variant(tmp_path, "a"), dataset)["a"]
    assert 0 < start["imported"] < start["loaded"] < start["answered"]
    assert start["peak_bytes"] > 1 << 20, "a Python with numpy has more than a megabyte"


def test_each_start_is_a_process_of_its_own_that_answers_once(tmp_path, dataset):
    available = variant(tmp_path, "a") | variant(tmp_path, "b")
    starts = measure(available, dataset, repeats=2)
    assert {name: len(samples) for name, samples in starts.items()} == {"a": 2, "b": 2}
    calls = seen(available["a"]) + seen(available["b"])
    assert len(calls) == len({call["pid"] for call in calls}) == 4


def test_the_model_answers_the_first_image_on_one_thread(tmp_path, dataset):
    available = variant(tmp_path, "a")
    measure(available, dataset)
    (call,) = seen(available["a"])
    assert (call["shape"], call["type"], call["first"]) == ([1, 4, 4, 3], "float32", 7.0)
    assert (call["threads"], call["limit"]) == (1, "1")


def test_the_peak_memory_is_not_that_of_the_process_that_starts_it(tmp_path, dataset):
    """The kernel gives a child, as its largest memory so far, that of its parent at the fork."""
    ballast = np.ones(400 << 20, np.uint8)
    (start,) = measure(variant(tmp_path, "a"), dataset)["a"]
    assert start["peak_bytes"] < ballast.nbytes


@pytest.mark.parametrize(("how", "code"), [("die", 7), ("raise", 1), ("vanish", 0)])
def test_a_model_that_does_not_answer_is_named(tmp_path, dataset, how, code):
    with pytest.raises(StageError) as caught:
        measure(variant(tmp_path, "a", how), dataset)
    assert str(caught.value) == f"a does not answer in a fresh process (exit code {code})"
    assert not (dataset.parent / "starts.json").exists()


def test_what_does_not_answer_soundly_is_not_started(tmp_path, dataset):
    available = variant(tmp_path, "a") | variant(tmp_path, "broken") | variant(tmp_path, "b")
    np.save(available["predictions.broken"] / "output_0.npy", np.ones((IMAGES, CLASSES), np.float32))
    del available["predictions.b"]
    assert list(measure(available, dataset)) == ["a"]


def test_no_variant_is_no_reason_to_fail(dataset):
    assert measure({}, dataset) == {}
