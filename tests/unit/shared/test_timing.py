"""All variants of an image are timed in turn, warmed up first; what doesn't answer soundly is not timed at all.

The models run in a fork: they write what they see to a file.
"""

import json
import os
from contextlib import contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from null_image import pictures

from shared.contract import decode
from shared.data.samples import Batch
from shared.errors import CrossquantError
from shared.measure import predictions, timing
from shared.measure.timing import REPEAT_SUFFIX, Size, Timings
from shared.runner import threads

IMAGES, CLASSES = 30, 3
LABELS = (np.arange(IMAGES) % CLASSES).astype(np.uint8)


class Recorder:
    """Loads null models, and notes in a file each load and each call: whose, with how many threads, on what."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: Exception | None = None  # of every call
        path.touch()

    def load(self, path: Path, threads: int):
        self.note(load=path.name, threads=threads, process=os.getpid())

        def model(batch: Batch) -> Batch:
            [images] = batch
            same = images.dtype == np.float32 and (images == pictures(IMAGES)[: len(images)]).all()
            sound = bool(same and images.flags.c_contiguous)
            self.note(call=path.name, images=len(images), threads=threads, sound=sound, process=os.getpid())
            if self.error:
                raise self.error
            return (np.ones((len(images), CLASSES), np.float32),)

        return model

    def note(self, **seen: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(seen) + "\n")

    def notes(self, kind: str) -> list[dict[str, Any]]:
        return [note for line in self.path.read_text().splitlines() if kind in (note := json.loads(line))]

    @property
    def loaded(self) -> list[tuple[str, int]]:
        return [(note["load"], note["threads"]) for note in self.notes("load")]

    def runs(self, threads: int) -> list[tuple[str, int, int]]:
        """The calls with repetitions counted: (variant, images, calls in a row)."""
        calls = [(note["call"], note["images"]) for note in self.notes("call") if note["threads"] == threads]
        return [(*key, len(list(group))) for key, group in groupby(calls)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    np.save(folder / "input_0.npy", pictures(IMAGES))
    return folder


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Two threads are allowed. Without the proof of their number: that looks at the clock, and has its own tests."""
    monkeypatch.setattr(threads, "at_most", lambda *_: nullcontext())
    for variable in threads.VARIABLES:
        monkeypatch.setenv(variable, "2")
    return Recorder(tmp_path / "seen.jsonl")


def answered(tmp_path: Path, *variants: str, right: int = IMAGES, each: int = 0) -> dict[str, Path]:
    """Variants, with predictions of which the first `right` are right."""
    answers = np.where(np.arange(IMAGES) < right, LABELS, (LABELS + 1) % CLASSES)
    folders = {}
    for name in variants:
        folders |= {name: tmp_path / name, f"predictions.{name}": tmp_path / f"predictions.{name}"}
        folders[f"predictions.{name}"].mkdir()
        np.save(folders[f"predictions.{name}"] / "output_0.npy", np.eye(CLASSES, dtype=np.float32)[answers])
        (folders[f"predictions.{name}"] / predictions.BATCH_FILE).write_text(
            json.dumps({"samples": 8, "bytes_per_sample": each})
        )
    return folders


def measure(available, dataset: Path, recorder: Recorder, rounds=2, calls=3, batch=8) -> Timings:
    timing.measure(available, dataset, dataset.parent, recorder.load, Size(rounds, calls, batch))
    return decode(Timings, json.loads((dataset.parent / "samples.json").read_text()))


def names(timings: Timings) -> list[str]:
    return list(dict.fromkeys(samples.variant for samples in timings.samples))


@pytest.mark.parametrize("count", [1, 2])
def test_each_round_takes_every_variant_in_turn_after_all_are_warm(tmp_path, dataset, recorder, count):
    """The last of each round is `a` again, the A/A repeat."""
    measure(answered(tmp_path, "a", "b", "c"), dataset, recorder, rounds=2, calls=3, batch=8)
    runs = recorder.runs(count)
    a_round = [(name, images, calls) for images, calls in ((1, 3), (8, 1)) for name in "abca"]
    assert runs[-16:] == a_round * 2
    warm_up = runs[:-16]
    assert [name for name, _ in groupby(warm_up, key=lambda run: run[0])] == ["a", "b", "c", "a"]
    assert {(name, images) for name, images, _ in warm_up} == {(name, images) for name in "abc" for images in (1, 8)}
    assert min(calls for _, images, calls in warm_up if images == 1) >= timing.WARM_UP


def test_the_samples_are_in_rounds(tmp_path, dataset, recorder):
    samples = measure(answered(tmp_path, "a", "b"), dataset, recorder, rounds=4, calls=5, batch=8).samples
    assert [(each.variant, each.batch, each.threads) for each in samples] == [
        (name, batch, count) for count in (1, 2) for batch in (1, 8) for name in ("a", "b", "a" + REPEAT_SUFFIX)
    ]
    for each in samples:
        assert [len(turn) for turn in each.seconds] == [5 if each.batch == 1 else 1] * 4
        assert all(second >= 0 for turn in each.seconds for second in turn)


@pytest.mark.parametrize(
    ("variants", "repeated"),
    [
        (["onnx.fp32", "onnx.int8", "onnx.u8s8"], ["onnx.fp32", "onnx.int8"]),
        (["onnx.int8", "onnx.u8s8", "onnx.fp32"], ["onnx.fp32", "onnx.int8"]),
        (["keras.fp32"], ["keras.fp32"]),
        (["torch.x86"], ["torch.x86"]),
        ([], []),
    ],
)
def test_the_first_float_variant_and_the_first_quantized_one_are_repeated(variants, repeated):
    """8-bit kernels have a noise of their own."""
    assert timing.choose_repeats(variants) == repeated


def test_both_repeats_are_timed_in_each_round(tmp_path, dataset, recorder):
    available = answered(tmp_path, "a.fp32", "a.int8", "a.u8s8")
    timings = measure(available, dataset, recorder, rounds=1, calls=2, batch=8)
    in_turn = ["a.fp32", "a.int8", "a.u8s8", "a.fp32", "a.int8"]
    assert recorder.runs(1)[-10:] == [(name, images, n) for images, n in ((1, 2), (8, 1)) for name in in_turn]
    assert names(timings) == [*in_turn[:3], "a.fp32" + REPEAT_SUFFIX, "a.int8" + REPEAT_SUFFIX]


def test_a_sample_is_the_time_of_one_call(monkeypatch):
    clock = iter([10.0, 11.0, 20.0, 22.0, 30.0, 33.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.timed(lambda images: images, np.zeros((1, 4, 4, 3), np.float32), 3) == (1.0, 2.0, 3.0)


def test_every_model_is_loaded_for_each_number_of_threads_and_what_is_repeated_twice(tmp_path, dataset, recorder):
    measure(answered(tmp_path, "a", "b"), dataset, recorder)
    assert recorder.loaded == [("a", 1), ("b", 1), ("a", 1), ("a", 2), ("b", 2), ("a", 2)]


def test_where_one_thread_is_all_there_is_one_table(tmp_path, dataset, recorder, monkeypatch):
    for variable in threads.VARIABLES:
        monkeypatch.setenv(variable, "1")
    assert {each.threads for each in measure(answered(tmp_path, "a"), dataset, recorder).samples} == {1}
    assert recorder.loaded == [("a", 1), ("a", 1)]


def test_each_number_of_threads_has_a_process_of_its_own(tmp_path, dataset, recorder):
    """TensorFlow fixes its threads with the first operator of a process."""
    measure(answered(tmp_path, "a"), dataset, recorder)
    processes = {(note["process"], note["threads"]) for note in recorder.notes("process")}
    assert sorted(count for _, count in processes) == [1, 2]
    assert len({os.getpid(), *(process for process, _ in processes)}) == 3


def test_the_models_see_the_first_images_preprocessed(tmp_path, dataset, recorder):
    measure(answered(tmp_path, "a"), dataset, recorder)
    assert {note["sound"] for note in recorder.notes("call")} == {True}


def test_a_batch_is_no_larger_than_the_data_set(tmp_path, dataset, recorder):
    timings = measure(answered(tmp_path, "a"), dataset, recorder, batch=64)
    assert {each.batch for each in timings.samples} == {1, IMAGES}
    assert {note["images"] for note in recorder.notes("call")} == {1, IMAGES}


def test_a_variant_without_predictions_is_not_timed(tmp_path, dataset, recorder):
    available = answered(tmp_path, "a", "b", "c")
    del available["predictions.b"]
    assert names(measure(available, dataset, recorder)) == ["a", "c", "a" + REPEAT_SUFFIX]
    assert {name for name, _ in recorder.loaded} == {"a", "c"}


def test_a_variant_that_answers_the_same_to_everything_is_not_timed(tmp_path, dataset, recorder):
    available = answered(tmp_path, "broken", "a")
    np.save(available["predictions.broken"] / "output_0.npy", np.ones((IMAGES, CLASSES), np.float32))
    assert names(measure(available, dataset, recorder)) == ["a", "a" + REPEAT_SUFFIX]
    assert {name for name, _ in recorder.loaded} == {"a"}


def test_predictions_without_their_variant_are_not_timed(tmp_path, dataset, recorder):
    available = answered(tmp_path, "a", "b")
    del available["b"]
    assert names(measure(available, dataset, recorder)) == ["a", "a" + REPEAT_SUFFIX]


def test_no_variant_is_no_reason_to_fail(dataset, recorder):
    assert measure({}, dataset, recorder).samples == ()
    assert recorder.loaded == []


def test_the_machine_is_watched_all_the_while(tmp_path, dataset, recorder):
    machine = measure(answered(tmp_path, "a"), dataset, recorder).machine
    assert machine.seconds > 0
    assert machine.started <= (dataset.parent / "samples.json").stat().st_mtime


@pytest.mark.parametrize("error", [CrossquantError("a runs 4 threads instead of 1"), MemoryError(), ValueError("bad")])
def test_what_a_model_raises_in_its_process_is_raised_here(tmp_path, dataset, recorder, error):
    recorder.error = error
    with pytest.raises(type(error)) as caught:
        measure(answered(tmp_path, "a"), dataset, recorder)
    assert (type(caught.value), str(caught.value)) == (type(error), str(error))
    assert not (dataset.parent / "samples.json").exists()


def test_more_threads_than_were_asked_for_are_refused(tmp_path, dataset, recorder, monkeypatch):
    """The proof is asked for in the process that computes, of each variant, under its own name."""

    def at_most(count: int, who: str):
        recorder.note(proof=who, threads=count)
        return nullcontext()

    monkeypatch.setattr(threads, "at_most", at_most)
    measure(answered(tmp_path, "a", "b"), dataset, recorder)
    proofs = [(note["proof"], note["threads"]) for note in recorder.notes("proof")]
    assert proofs == [(name, count) for count in (1, 2) for name in ("a", "b", "a" + REPEAT_SUFFIX)]


def test_a_proof_that_fails_is_made_once_more_for_longer(tmp_path, dataset, recorder, monkeypatch):
    """Of a small model's few calls the CPUs' clocks say more than is true."""

    @contextmanager
    def at_most(count: int, who: str):
        before = len(recorder.notes("call"))
        yield
        calls = len(recorder.notes("call")) - before
        recorder.note(proof=calls)
        if calls < 1000 or who == "b":
            raise CrossquantError(f"{who} keeps {count + 1} cores busy")

    monkeypatch.setattr(threads, "at_most", at_most)
    monkeypatch.setattr(timing, "calls_in", lambda wanted, _: int(100 * wanted) * 20)
    measure(answered(tmp_path, "a"), dataset, recorder)
    assert [note["proof"] for note in recorder.notes("proof")] == [80, 1200] * 4
    with pytest.raises(CrossquantError, match="b keeps 2 cores busy"):
        measure(answered(tmp_path, "b"), dataset, recorder)
