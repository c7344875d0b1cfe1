"""Every answer is written in order as it is computed, checked, in memory that doesn't grow with the images."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from null_image import pictures

from shared.data import samples
from shared.data.samples import Batch
from shared.errors import CrossquantError
from shared.measure import predictions

MEGABYTE = 1 << 20


def first_pixels(batch: Batch) -> Batch:
    """A model that answers with the first three pixels: each image has an answer of its own."""
    return (batch[0].reshape(len(batch[0]), -1)[:, :3],)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    np.save(tmp_path / "input_0.npy", pictures(10))
    return tmp_path


def answers(dataset: Path) -> np.ndarray:
    return np.load(dataset / "output_0.npy")


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 64])
def test_answers_are_in_the_order_of_the_images_whatever_the_batch(dataset: Path, batch_size):
    predictions.predict(first_pixels, dataset, dataset, batch_size)
    assert answers(dataset).dtype == np.float32
    assert (answers(dataset) == pictures(10).reshape(10, -1)[:, :3]).all()


def test_the_model_gets_preprocessed_batches_and_a_short_last_one(dataset: Path):
    seen = []

    def model(batch):
        seen.append(batch)
        return first_pixels(batch)

    predictions.predict(model, dataset, dataset, 4)
    assert [len(images) for [images] in seen] == [4, 4, 2]
    assert {images.dtype for [images] in seen} == {np.dtype(np.float32)}


def test_a_batch_of_large_samples_is_smaller(tmp_path: Path, monkeypatch):
    """Of all inputs together; one sample at least."""
    np.save(tmp_path / "input_0.npy", pictures(10))
    np.save(tmp_path / "input_1.npy", pictures(10))
    seen = []

    def model(batch):
        seen.append(len(batch[0]))
        return first_pixels(batch)

    for samples_of_space in (2.5, 0.5):
        largest = int(samples_of_space * 2 * 4 * pictures(1).size)
        monkeypatch.setattr(predictions, "fitting", partial(samples.fitting, largest=largest))
        predictions.predict(model, tmp_path, tmp_path, 4)
    assert seen == [2] * 5 + [1] * 10


def test_the_file_is_what_numpy_would_have_written(dataset: Path):
    predictions.predict(first_pixels, dataset, dataset, 4)
    np.save(dataset / "expected.npy", pictures(10).reshape(10, -1)[:, :3].astype(np.float32))
    assert (dataset / "output_0.npy").read_bytes() == (dataset / "expected.npy").read_bytes()


@pytest.mark.parametrize(
    "turned",
    [
        lambda answer: answer.astype(np.float64),
        lambda answer: answer.astype(">f4"),
        np.asfortranarray,
        lambda answer: np.repeat(answer, 2, axis=1)[:, ::2],
    ],
    ids=["float64", "big endian", "Fortran order", "strided"],
)
def test_answers_of_any_layout_are_written_alike(dataset: Path, turned):
    predictions.predict(lambda batch: (turned(first_pixels(batch)[0]),), dataset, dataset, 4)
    assert (answers(dataset) == pictures(10).reshape(10, -1)[:, :3]).all()


def test_each_output_has_a_file_of_its_own_shape(dataset: Path):
    def model(batch: Batch) -> Batch:
        [images] = batch
        return first_pixels(batch)[0], images[:, ::2], images.reshape(len(images), -1).sum(axis=1)

    predictions.predict(model, dataset, dataset, 4)
    several = [np.load(path) for path in predictions.outputs(dataset)]
    assert [array.shape for array in several] == [(10, 3), (10, *pictures(1)[0, ::2].shape), (10,)]
    assert (several[1] == pictures(10)[:, ::2]).all()
    assert several[2].tolist() == pictures(10).reshape(10, -1).sum(axis=1).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bad_batch", [0, 2])
def test_an_answer_that_is_not_finite_is_refused(dataset: Path, value, bad_batch):
    turns = iter(range(3))

    def model(batch):
        answer = first_pixels(batch)[0].copy()
        if next(turns) == bad_batch:
            answer[-1, -1] = value
        return (answer,)

    with pytest.raises(CrossquantError) as caught:
        predictions.predict(model, dataset, dataset, 4)
    assert str(caught.value) == "the model answers NaN or infinity: look at its weights and ranges"


@pytest.mark.parametrize("shape", [(), (3, 10), (5, 10), (1, 10), (10, 4)])
def test_an_answer_of_another_shape_is_refused(dataset: Path, shape):
    with pytest.raises(CrossquantError) as caught:
        predictions.predict(lambda _: (np.zeros(shape, np.float32),), dataset, dataset, 4)
    assert str(caught.value) == (f"the model answers {shape} to 4 samples: its first axis must be the samples")


def test_a_shape_that_changes_between_batches_is_refused(dataset: Path):
    """Else the file's header and its content disagree."""
    classes = iter([10, 10, 5])
    with pytest.raises(CrossquantError, match=r"must answer every batch in the same shape$"):
        predictions.predict(lambda batch: (np.zeros((len(batch[0]), next(classes)), np.float32),), dataset, dataset, 4)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path):
    small, large = (generate(tmp_path / str(count), count) for count in (1_000, 66_000))
    assert (large / "input_0.npy").stat().st_size > 200 * 1000 * 1000
    assert peak_bytes(large) - peak_bytes(small) < 40 * MEGABYTE


def generate(folder: Path, count: int) -> Path:
    """A data set of `count` black pictures."""
    folder.mkdir()
    np.lib.format.open_memmap(folder / "input_0.npy", "w+", np.uint8, (count, 32, 32, 3))
    return folder


def peak_bytes(dataset: Path) -> int:
    """The largest resident memory of a fork that answers constants to all of `dataset`."""
    child = os.fork()
    if child == 0:
        try:
            predictions.predict(lambda batch: (np.ones((len(batch[0]), 10), np.float32),), dataset, dataset, 250)
            os._exit(0)
        finally:
            os._exit(1)
    _, status, usage = os.wait4(child, 0)
    assert status == 0
    assert answers(dataset).shape == (len(np.load(dataset / "input_0.npy", mmap_mode="r")), 10)
    return usage.ru_maxrss * 1024
