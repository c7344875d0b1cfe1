"""Draws of samples that are compared with each other, as those of an embedding are: without its mate a sample tells
nothing."""

import numpy as np

from shared.data.samples import About, Array, Indices

LEAST = 2  # samples of a unit in a draw: each has a mate
SEED = 0


def number_units(about: About, labels: Array | None) -> Indices | None:
    """Return the number of each sample's unit, (samples,) from 0: the samples of a pair, or those of one label.

    None where samples are not compared with each other: of any task but embeddings, and without labels.
    """
    if about.task != "embedding" or labels is None:
        return None
    return np.unique(labels.reshape(len(labels), -1)[:, 0], return_inverse=True)[1].astype(np.int64)


def draw_with_mates(units: Indices, count: int, random: np.random.Generator) -> Indices:
    """Draw `count` samples, or one less, from as many units as there can be when each gives two samples or more.

    Parameters
    ----------
    units : (samples,)
        The number of each sample's unit, from 0.

    Returns
    -------
    (drawn,)
        Indices in the order of the units, which is random. Whoever takes the first ones alone has them with their
        mates, but for one sample at most. A sample that is the only one of its unit may be drawn.
    """
    sizes = np.bincount(units)
    most = max(LEAST, -(-count // max(1, int((sizes > 0).sum()))))
    while np.minimum(sizes, most).sum() < min(count, len(units)):
        most *= 2
    shuffled = random.permutation(len(units))
    turn = random.permutation(len(sizes))[units[shuffled]]
    order = shuffled[np.argsort(turn, kind="stable")]
    starts = np.flatnonzero(np.diff(units[order], prepend=-1) != 0)
    places = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    drawn = order[places < most][:count]
    is_cut = len(drawn) > 1 and units[drawn[-1]] != units[drawn[-2]] and sizes[units[drawn[-1]]] > 1
    return np.asarray(drawn[:-1] if is_cut else drawn, np.int64)


def split_in_halves(units: Indices, random: np.random.Generator) -> list[Indices]:
    """Return the positions, sorted, of two halves of the units; the first half may have one more."""
    half = random.permutation(int(units.max(initial=-1)) + 1) % 2
    return [np.flatnonzero(half[units] == number) for number in (0, 1)]
