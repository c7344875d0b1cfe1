"""A converted model's answers are compared on two batches of different sizes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from shared.data import examples
from shared.data.examples import FIRST, SECOND, Example
from shared.data.samples import Batch

X = np.arange(10, dtype=np.float32).reshape(FIRST + SECOND, 2)


def doubled(batch: Batch) -> Batch:
    return (batch[0] * 2,)


EXAMPLE = Example((X,), doubled((X,)))


def test_what_is_written_is_read(tmp_path: Path):
    assert examples.read(tmp_path) is None
    examples.write(EXAMPLE, tmp_path)
    example = examples.read(tmp_path)
    assert example is not None
    np.testing.assert_array_equal(example.inputs[0], X)
    np.testing.assert_array_equal(example.outputs[0], X * 2)


def test_the_same_bytes_are_written_by_every_python(tmp_path: Path):
    examples.write(EXAMPLE, tmp_path)
    written = (tmp_path / examples.FILE).read_bytes()
    assert hashlib.sha256(written).hexdigest() == "2c9197b92fee4c61fba772ea969213470b363a9cc6b6073ba3ba0266531d0d4a"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (doubled, ""),
        (lambda batch: (batch[0] * 2 + 1e-5,), ""),
        (lambda batch: (batch[0] * 3,), "output 0 for 3 samples is off by 5, where the largest value is 10"),
        (
            lambda batch: (np.resize(batch[0] * 2, (3, 2)),),
            "output 0 for 2 samples has the shape (3, 2) in the place of (2, 2)",
        ),
        (lambda batch: (batch[0] * 2, batch[0]), "it gives 2 outputs in the place of 1"),
        (
            lambda batch: (batch[0] * np.float32("nan"),),
            "output 0 for 3 samples is off by nan, where the largest value is 10",
        ),
    ],
)
def test_a_difference_is_described(model: examples.Callable[[Batch], Batch], said: str):
    assert examples.difference(EXAMPLE, model) == said


def test_without_answers_there_is_nothing_to_hold_against():
    assert examples.difference(Example((X,)), lambda batch: (batch[0] * 7,)) == ""


def test_a_fixed_batch_is_asked_twice():
    assert [len(inputs[0]) for inputs, _ in Example((np.zeros((8, 1)),)).batches()] == [4, 4]
