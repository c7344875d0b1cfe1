"""The samples of an embedding that are resampled, and split, together: those of a pair, or of one label."""

import numpy as np

from shared import embeddings
from shared.data.samples import Array

FEWEST_UNITS = 50  # labels of a set, from which on each is a unit; fewer are classes that any sample may be of


def group_samples(labels: Array, groups: Array | None) -> Array | None:
    """Return the number of each sample's group, (samples,) from 0; None where each sample stands for itself.

    `labels` are those of one set: (samples,), or (samples, 2) of pairs. `groups`, (samples,) from 0, are what the data
    says, if it does: a pair is never divided between two of them, which are one group then.
    """
    if embeddings.has_pairs(labels):
        pairs = np.unique(labels[:, 0], return_inverse=True)[1].astype(np.int64)
        return pairs if groups is None else join_groups(groups, pairs)
    if groups is not None:
        return groups
    names, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64) if len(names) >= FEWEST_UNITS else None


def join_groups(groups: Array, pairs: Array) -> Array:
    """Return groups, (samples,) from 0, of which none shares a pair with another. Both have numbers from 0."""
    joined = groups.astype(np.int64)
    while True:
        before = joined
        for units in (pairs, groups):
            lowest = np.full(int(units.max(initial=-1)) + 1, len(groups), np.int64)
            np.minimum.at(lowest, units, joined)
            joined = lowest[units]
        if np.array_equal(before, joined):
            return np.unique(joined, return_inverse=True)[1].astype(np.int64)
