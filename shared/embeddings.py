"""Embeddings, vectors by whose cosine samples are compared: nearest neighbours of one label, and pairs with scores.

Outputs are arrays of the shape (samples, ...), as a model gives them: each sample's values are one vector. Labels are
either (samples,), equal of samples that belong together, or (samples, 2), the number of the pair that a sample is of
and the score of that pair. NumPy and the standard library only.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared import numerics
from shared.errors import CrossquantError

Array = NDArray[Any]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
PAIR_COLUMNS = 2  # of labels: the number of the pair, and its score
BLOCK_SIMILARITIES = 1 << 22  # similarities in memory at a time
ROUNDING = 1e-6  # by which cosines differ that are equal: float32 can tell no more
LEAST_VALUES = 2  # of a vector that has a direction


def has_pairs(labels: Array) -> bool:
    """Return whether the labels are of pairs with scores, (samples, 2), and not of samples that belong together."""
    return labels.ndim == PAIR_COLUMNS


def check_outputs(outputs: Array, labels: Array) -> None:
    """CrossquantError where outputs and labels are none that `score` can be computed of."""
    if numerics.count_values(outputs) < LEAST_VALUES:
        raise CrossquantError(
            f"outputs of {outputs.shape}: an embedding is a vector of two values or more: set data.evaluated_output to "
            "the output that gives it"
        )
    if labels.ndim != 1 and labels.shape[1:] != (PAIR_COLUMNS,):
        raise CrossquantError(
            f"labels of {labels.shape}: an embedding takes one label a sample, or the number of its pair and the score"
        )


def score(outputs: Array, labels: Array) -> float:
    """Return recall@1, or of pairs Spearman's rank correlation; 0 where the labels tell none."""
    if has_pairs(labels):
        members, scores = find_pairs(labels)
        correlation = spearman(compare_pairs(outputs, members), scores) if len(members) else float("nan")
        return 0.0 if np.isnan(correlation) else correlation
    ranks = rank_nearest_mates(outputs, labels)
    return float((ranks < 1).mean()) if len(ranks) else 0.0


def find_queries(labels: Array) -> Indices:
    """Return the indices of the samples whose label another one has too, (queries,), of labels (samples,)."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[inverse] > 1)


def rank_nearest_mates(outputs: Array, labels: Array) -> Indices:
    """Return how many samples of other labels are at least as near to a sample as the nearest one of its own label.

    It is below k where one of the k nearest has the sample's label. Near is what has a large cosine. A model that
    answers the same to every sample finds nothing, since equally near samples of other labels come first.

    Parameters
    ----------
    outputs : (samples, ...)
    labels : (samples,)

    Returns
    -------
    (queries,)
        Of the samples of `find_queries`, in their order. All samples but itself are what a query is compared with.
    """
    queries, vectors = find_queries(labels), scale_to_unit_length(outputs)
    size = max(1, BLOCK_SIMILARITIES // max(1, len(vectors)))
    ranks = [rank_block(vectors, labels, queries[start : start + size]) for start in range(0, len(queries), size)]
    return np.concatenate(ranks) if ranks else np.zeros(0, np.int64)


def rank_block(vectors: Doubles, labels: Array, queries: Indices) -> Indices:
    """Return the ranks of some queries."""
    similarities = vectors[queries] @ vectors.T
    similarities[np.arange(len(queries)), queries] = -np.inf
    mates = labels[queries][:, None] == labels
    nearest = np.where(mates, similarities, -np.inf).max(axis=1, keepdims=True)
    return np.asarray((~(similarities < nearest - ROUNDING) & ~mates).sum(axis=1), np.int64)  # NaN is near to nothing


def scale_to_unit_length(outputs: Array) -> Doubles:
    """Return the vectors of length 1, (samples, values); a vector of zeros stays one."""
    blocks = [block.astype(np.float64) for block in numerics.iterate_blocks(numerics.flatten_samples(outputs))]
    vectors = np.concatenate(blocks) if blocks else np.zeros((0, numerics.count_values(outputs)))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def find_pairs(labels: Array) -> tuple[NDArray[np.int64], Doubles]:
    """Return the samples of each pair, (pairs, 2), and the scores, (pairs,), from labels (samples, 2).

    They are sorted by the number of the pair. A pair of which one sample alone is there is left out.
    """
    order = np.argsort(labels[:, 0], kind="stable")
    numbers = labels[order, 0]
    starts = np.flatnonzero(np.diff(numbers, prepend=np.nan) != 0)
    firsts = starts[np.diff(starts, append=len(numbers)) == PAIR_COLUMNS]
    members = np.stack([order[firsts], order[firsts + 1]], axis=1) if len(firsts) else np.zeros((0, 2), np.int64)
    return members.astype(np.int64), labels[members[:, 0], 1].astype(np.float64)


def compare_pairs(outputs: Array, members: NDArray[np.int64]) -> Doubles:
    """Return the cosine of each pair of samples, (pairs,), of `members`, (pairs, 2)."""
    vectors = numerics.flatten_samples(outputs)
    cosines = [compare_block(vectors, some) for some in iterate_pairs(members, numerics.count_values(outputs))]
    return np.concatenate(cosines) if cosines else np.zeros(0)


def iterate_pairs(members: NDArray[np.int64], values: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, numerics.BLOCK_VALUES // max(1, values))
    return (members[start : start + size] for start in range(0, len(members), size))


def compare_block(vectors: Array, members: NDArray[np.int64]) -> Doubles:
    """Return the cosines of some pairs; of two vectors of zeros 1, of one 0."""
    one, other = (vectors[members[:, side]].astype(np.float64) for side in (0, 1))
    product, power, other_power = ((a * b).sum(axis=1) for a, b in ((one, other), (one, one), (other, other)))
    return numerics.cosine_from_powers(product, power, other_power)


def rank_in_the_middle(values: Array) -> Doubles:
    """Return the rank of each value, (samples,), from 1; equal values share the mean of theirs (mid-ranks)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def pearson(one: Doubles, other: Doubles) -> float:
    """Return Pearson's correlation of two arrays (samples,); NaN where one of them doesn't vary."""
    if not len(one) or not np.ptp(one) or not np.ptp(other):
        return float("nan")
    centred, other_centred = one - one.mean(), other - other.mean()
    lengths = np.sqrt(np.vdot(centred, centred) * np.vdot(other_centred, other_centred))
    return float(np.clip(np.vdot(centred, other_centred) / lengths, -1, 1))


def spearman(one: Array, other: Array) -> float:
    """Return the rank correlation of two arrays (samples,), ties by mid-ranks; NaN where one of them doesn't vary.

    Notes
    -----
    Kendall, "Rank Correlation Methods" (1948), ch. 3: it is Pearson's correlation of the mid-ranks.
    """
    return pearson(rank_in_the_middle(one), rank_in_the_middle(other))
