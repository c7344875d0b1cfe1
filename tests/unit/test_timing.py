"""All variants of an image are timed in turn, warmed up first; what doesn't answer soundly is not timed at all."""

import json
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from null_image import pictures

from shared import threads, timing

IMAGES, CLASSES = 30, 3
LABELS = (np.arange(IMAGES) % CLASSES).astype(np.uint8)


class Recorder:
    """Loads null models, and notes each of their calls: whose it was, and with how many images."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, int]] = []
        self.calls: list[tuple[str, int]] = []
        self.batches: list[np.ndarray] = []

    def load(self, path: Path, threads: int):
        self.loaded.append((path.name, threads))

        def model(images: np.ndarray) -> np.ndarray:
            self.calls.append((path.name, len(images)))
            self.batches.append(images)
            return np.ones((len(images), CLASSES), np.float32)

        return model

    def runs(self) -> list[tuple[str, int, int]]:
        """The calls with repetitions counted: (variant, images, calls in a row)."""
        return [(*key, len(list(group))) for key, group in groupby(self.calls)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    np.save(folder / "x_test.npy", pictures(IMAGES))
    np.save(folder / "y_test.npy", LABELS)
    return folder


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Without the proof of the number of threads: that looks at the clock, and has tests of its own."""
    monkeypatch.setattr(threads, "at_most", lambda *_: nullcontext())
    return Recorder()


def answered(tmp_path: Path, *variants: str, right: int = IMAGES) -> dict[str, Path]:
    """Variants, with predictions of which the first `right` are right."""
    answers = np.where(np.arange(IMAGES) < right, LABELS, (LABELS + 1) % CLASSES)
    found = {}
    for name in variants:
        found |= {name: tmp_path / name, f"predictions.{name}": tmp_path / f"predictions.{name}"}
        found[f"predictions.{name}"].mkdir()
        np.save(found[f"predictions.{name}"] / "probabilities.npy", np.eye(CLASSES, dtype=np.float32)[answers])
    return found


def measure(available, dataset: Path, recorder: Recorder, rounds=2, calls=3, batch_size=8) -> dict:
    timing.measure(available, dataset, dataset.parent, recorder.load, rounds=rounds, calls=calls, batch_size=batch_size)
    return json.loads((dataset.parent / "samples.json").read_text())


def test_each_round_takes_every_variant_in_turn_after_all_are_warm(tmp_path, dataset, recorder):
    measure(answered(tmp_path, "a", "b", "c"), dataset, recorder, rounds=2, calls=3, batch_size=8)
    runs = recorder.runs()
    a_round = [("a", 1, 3), ("b", 1, 3), ("c", 1, 3), ("a", 8, 1), ("b", 8, 1), ("c", 8, 1)]
    assert runs[-12:] == a_round * 2
    warm_up = runs[:-12]
    assert [name for name, _ in groupby(warm_up, key=lambda run: run[0])] == ["a", "b", "c"]
    assert {(name, images) for name, images, _ in warm_up} == {(name, images) for name in "abc" for images in (1, 8)}
    assert min(calls for _, images, calls in warm_up if images == 1) >= timing.WARM_UP


def test_the_samples_are_in_rounds(tmp_path, dataset, recorder):
    samples = measure(answered(tmp_path, "a", "b"), dataset, recorder, rounds=4, calls=5, batch_size=8)
    assert list(samples) == ["a", "b"]
    for each in samples.values():
        assert (each["batch_size"], each["threads"]) == (8, 1)
        assert [len(turn) for turn in each["latency"]] == [5] * 4
        assert [len(turn) for turn in each["throughput"]] == [1] * 4
        assert all(second >= 0 for turn in each["latency"] + each["throughput"] for second in turn)


def test_a_sample_is_the_time_of_one_call(monkeypatch):
    clock = iter([10.0, 11.0, 20.0, 22.0, 30.0, 33.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.timed(lambda images: images, np.zeros((1, 4, 4, 3), np.float32), 3) == [1.0, 2.0, 3.0]


def test_every_model_is_loaded_once_with_one_thread(tmp_path, dataset, recorder):
    measure(answered(tmp_path, "a", "b"), dataset, recorder)
    assert recorder.loaded == [("a", 1), ("b", 1)]


def test_the_models_see_the_first_images_preprocessed(tmp_path, dataset, recorder):
    measure(answered(tmp_path, "a"), dataset, recorder)
    for batch in recorder.batches:
        assert batch.dtype == np.float32
        assert batch.flags.c_contiguous
        assert (batch == pictures(IMAGES)[: len(batch)]).all()


def test_a_batch_is_no_larger_than_the_data_set(tmp_path, dataset, recorder):
    samples = measure(answered(tmp_path, "a"), dataset, recorder, batch_size=64)
    assert samples["a"]["batch_size"] == IMAGES
    assert {images for _, images in recorder.calls} == {1, IMAGES}


def test_a_variant_without_predictions_is_not_timed(tmp_path, dataset, recorder):
    available = answered(tmp_path, "a", "b", "c")
    del available["predictions.b"]
    assert list(measure(available, dataset, recorder)) == ["a", "c"]
    assert [name for name, _ in recorder.loaded] == ["a", "c"]


def test_a_variant_at_chance_is_not_timed(tmp_path, dataset, recorder):
    available = answered(tmp_path, "a") | answered(tmp_path, "broken", right=IMAGES // CLASSES)
    assert list(measure(available, dataset, recorder)) == ["a"]
    assert [name for name, _ in recorder.loaded] == ["a"]


def test_predictions_without_their_variant_are_not_timed(tmp_path, dataset, recorder):
    available = answered(tmp_path, "a", "b")
    del available["b"]
    assert list(measure(available, dataset, recorder)) == ["a"]


def test_no_variant_is_no_reason_to_fail(dataset, recorder):
    assert measure({}, dataset, recorder) == {}
    assert recorder.loaded == []
