"""Draws of samples with those that they are compared with."""

import numpy as np
import pytest

from shared.data import mates, samples
from shared.data.samples import About
from shared.data.subset import Subset
from shared.emulation import emulation

RANDOM = np.random.default_rng(0)
PAIRS = RANDOM.permutation(np.repeat(np.arange(500), 2))
PEOPLE = RANDOM.integers(0, 120, 1000)
CLASSES = RANDOM.integers(0, 10, 1000)
UNEVEN = np.concatenate([np.zeros(900, np.int64), np.arange(1, 101)])


def count_alone(units, drawn):
    """How many of the drawn samples are the only one of a unit that has others."""
    chosen, counts = np.unique(units[drawn], return_counts=True)
    return int(((counts == 1) & (np.bincount(units)[chosen] > 1)).sum())


@pytest.mark.parametrize("count", [2, 7, 100, 333, 1000, 5000])
@pytest.mark.parametrize("units", [PAIRS, PEOPLE, CLASSES, UNEVEN], ids=["pairs", "people", "classes", "uneven"])
def test_each_sample_is_drawn_with_a_mate(units, count):
    drawn = mates.draw_with_mates(units, count, np.random.default_rng(1))
    assert len(set(drawn.tolist())) == len(drawn)
    assert min(count, 1000) - 1 <= len(drawn) <= min(count, 1000)
    assert count_alone(units, drawn) == 0


@pytest.mark.parametrize("units", [PAIRS, PEOPLE], ids=["pairs", "people"])
def test_the_first_ones_of_a_draw_have_their_mates_too(units):
    drawn = mates.draw_with_mates(units, 400, np.random.default_rng(2))
    assert all(count_alone(units, drawn[:first]) <= 1 for first in range(1, 400))


def test_a_draw_has_as_many_units_as_there_can_be():
    drawn = mates.draw_with_mates(CLASSES, 200, np.random.default_rng(3))
    assert np.bincount(CLASSES[drawn]).tolist() == [20] * 10
    assert len(set(PEOPLE[mates.draw_with_mates(PEOPLE, 200, np.random.default_rng(3))])) >= 100


def test_halves_divide_no_unit():
    halves = mates.split_in_halves(PAIRS, np.random.default_rng(4))
    assert [len(half) for half in halves] == [500, 500]
    assert not set(PAIRS[halves[0]]) & set(PAIRS[halves[1]])


def test_only_an_embedding_with_labels_has_units():
    scores = np.stack([PAIRS * 3.0, PAIRS / 7], axis=1)
    units = mates.number_units(About(task="embedding"), scores)
    assert units is not None
    assert np.array_equal(units, PAIRS)
    assert mates.number_units(About(task="embedding"), None) is None
    assert mates.number_units(About(), CLASSES) is None


def test_subsets_and_other_cpus_have_mates(tmp_path):
    (tmp_path / samples.ABOUT).write_text('{"task": "embedding"}')
    np.save(tmp_path / samples.file(0), np.zeros((1000, 2), np.float32))
    np.save(tmp_path / samples.LABELS, np.stack([PAIRS, PAIRS], axis=1))
    positions = Subset(tmp_path, 60).positions
    assert (len(positions), count_alone(PAIRS, positions)) == (60, 0)
    assert (np.diff(positions) > 0).all()
    chosen = emulation.choose_samples(tmp_path, tmp_path, 300)
    assert (len(chosen), count_alone(PAIRS, chosen), count_alone(PAIRS, chosen[:100])) == (300, 0, 0)
    beside = (PAIRS[chosen[:-1]] == PAIRS[chosen[1:]]).mean()
    assert beside < 0.1, "the process that runs the model can't tell mates by their order"
