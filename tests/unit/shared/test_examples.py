"""A converted model's answers are compared on two batches of different sizes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from shared.data import examples
from shared.data.examples import SIZES, Example
from shared.data.samples import Batch

X = np.arange(10, dtype=np.float32).reshape(sum(SIZES), 2)


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
    assert hashlib.sha256(written).hexdigest() == "1097fcb70876283f11311c3aea21921d6026410f7a4790e8bbb0836a21b82148"


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
    assert [len(inputs[0]) for inputs, _ in Example((np.zeros((8, 1)),), sizes=(4, 4)).batches()] == [4, 4]


def test_integers_may_differ_in_one_of_a_thousand_values():
    expected = np.zeros((1000, 2), np.int64)
    assert examples.describe_difference(expected, expected) == ""
    changed = expected.copy()
    changed[:2, 0] = 1
    assert examples.describe_difference(changed, expected) == ""
    changed[2, 0] = 1
    assert examples.describe_difference(changed, expected) == "differs in 3 of 2000 values"
    assert examples.describe_difference(changed[:5], expected[:5]) == "differs in 3 of 10 values"


@pytest.mark.parametrize(
    ("samples", "values", "batch", "sizes"),
    [
        (100, 4, None, (3, 2) * 12),
        (33, 4, None, (3, 2) * 6),
        (2, 4, None, (3, 2)),
        (1000, 1 << 17, None, (3, 2)),
        (9, 4, 4, (4, 4)),
    ],
    ids=["most", "all", "too few", "large", "fixed batch"],
)
def test_samples_come_from_the_whole_data_set(
    samples: int, values: int, batch: int | None, sizes: tuple[int, ...], tmp_path: Path
):
    array = np.repeat(np.arange(samples, dtype=np.uint8 if samples < 256 else np.uint16)[:, None], values, 1)
    np.save(tmp_path / "input_0.npy", array)
    example = examples.take_samples(tmp_path, ["int32"], batch)
    (inputs,) = example.inputs
    assert example.sizes == sizes
    assert inputs.dtype == np.int32
    assert inputs.shape == (sum(sizes), values)
    assert (inputs[0, 0], inputs[-1, 0]) == (0, samples - 1)


def test_answers_that_are_not_finite_are_left_out():
    finite = Example((X,)).with_answers([(X[:3],), (X[3:],)])
    np.testing.assert_array_equal(finite.outputs[0], X)
    assert finite.with_answers([(X[:3],), (X[3:] * np.float32("nan"),)]).outputs == ()
