"""The numerical methods that stages and the driver share, each in one place. NumPy and the standard library only.

Outputs are arrays of the shape (samples, ...), as a model gives them: logits stay logits. Arrays may be memory-mapped:
what sums over all values reads them in blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Doubles = NDArray[np.float64]
TINY = float(np.finfo(np.float32).tiny)  # the smallest normal float32
BLOCK_VALUES = 1 << 22  # values read in one go: memory doesn't grow with the number of samples
CACHED_VALUES = 1 << 16  # of these as float64 several arrays fit into a processor's cache
PROBABILITY_SLACK = 0.01  # by which a probability may be below 0 or above 1: eight bits do that
MANY_VALUES = 64  # a sample; R² of more than these is of all values together


def count_values(outputs: Array) -> int:
    """Return how many values each sample has."""
    return int(np.prod(outputs.shape[1:]))


def flatten_samples(outputs: Array) -> Array:
    """Return the outputs with the shape (samples, values)."""
    return outputs.reshape(len(outputs), count_values(outputs))


def iterate_blocks(outputs: Array, values: int | None = None) -> Iterator[Array]:
    """Yield consecutive slices of the samples, of about so many values each, or `BLOCK_VALUES`."""
    size = max(1, (values or BLOCK_VALUES) // max(1, count_values(outputs)))
    return (outputs[start : start + size] for start in range(0, len(outputs), size))


def are_logits(outputs: Array) -> bool:
    """Return whether any value can't be a probability: it is below 0 or above 1 by more than `PROBABILITY_SLACK`.

    The sum of a row doesn't matter: a classifier with a sigmoid for each class has probabilities that don't sum to 1.
    """
    return any(
        block.min() < -PROBABILITY_SLACK or block.max() > 1 + PROBABILITY_SLACK
        for block in iterate_blocks(outputs)
        if block.size
    )


def sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-values)), computed by tanh, which doesn't overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def softmax(logits: Array) -> Array:
    """Return the softmax of each row of (samples, classes), less its maximum so that nothing overflows."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def class_probabilities(outputs: Array, logits: bool | None = None) -> Array:
    """Return a probability for each class.

    Parameters
    ----------
    outputs : (samples, ...)
        Logits or probabilities. A single value for each sample is that of the second of two classes.
    logits : bool, optional
        What the outputs are, where better evidence than `are_logits(outputs)` tells: the outputs of the float model.
        All logits of a weak quantized model may be between 0 and 1.

    Returns
    -------
    (samples, classes)
        The softmax of logits; probabilities as they are, which may sum to 1 only nearly, or not at all.
    """
    rows = flatten_samples(outputs)
    logits = are_logits(rows) if logits is None else logits
    if rows.shape[1] == 1:
        positive = sigmoid(rows) if logits else rows
        return np.concatenate([1 - positive, positive], axis=1)
    return softmax(rows) if logits else rows


def top_classes(outputs: Array, logits: bool | None = None) -> NDArray[np.int64]:
    """Return the most probable class of each sample, (samples,).

    The parameters are those of `class_probabilities`. A softmax doesn't change the order, so that none is computed.
    """
    rows = flatten_samples(outputs)
    if rows.shape[1] == 1:
        logits = are_logits(rows) if logits is None else logits
        return np.asarray(rows[:, 0] > (0.0 if logits else 0.5)).astype(np.int64)
    return np.asarray(rows.argmax(axis=1))


def clip_to_positive(probabilities: Array) -> Doubles:
    """Return float64 of at least `TINY`, so that logarithms are finite and a row of zeros has a direction."""
    return np.maximum(probabilities.astype(np.float64), TINY)


def kl_divergence(reference: Array, other: Array) -> Doubles:
    """Return the Kullback-Leibler divergence of each row of `other` from that of `reference`, in nats.

    Parameters
    ----------
    reference, other : (samples, classes)
        Probabilities. They are clipped to at least `TINY`, and each row is then divided by its sum: rows of eight bits
        sum to 1 only nearly, and those of a sigmoid for each class to anything.

    Returns
    -------
    (samples,)
        Rounding may make a divergence of zero slightly negative.

    Notes
    -----
    Kullback and Leibler, "On Information and Sufficiency", Annals of Mathematical Statistics 22 (1951), 79-86.
    """
    pairs = zip(iterate_blocks(reference, CACHED_VALUES), iterate_blocks(other, CACHED_VALUES), strict=True)
    divergences = []
    for pair in pairs:
        p, q = (clip_to_positive(rows) for rows in pair)
        divergences.append(relative_entropy(p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)))
    return np.concatenate(divergences) if divergences else np.zeros(0)


def relative_entropy(p: Doubles, q: Doubles) -> Doubles:
    """Return the Kullback-Leibler divergence of each row of `q` from that of `p`: positive rows that sum to 1.

    Where two probabilities are within a factor of two, the logarithm of their ratio is that of 1 plus their relative
    difference, which keeps its digits, as in `scipy.special.rel_entr`.
    """
    ratio = p / q
    logarithm = np.log(ratio)
    np.log1p((p - q) / q, out=logarithm, where=(ratio > 0.5) & (ratio < 2))
    return np.asarray((p * logarithm).sum(axis=1))


def mean_kl_divergence(reference: Array, outputs: Array) -> float:
    """Return the mean over the samples of the divergence of a classifier's `outputs` from `reference`, in nats.

    Both are (samples, ...), logits or probabilities: which of them, `reference` tells. It is at least 0.
    """
    logits, total = are_logits(reference), 0.0
    for one, other in zip(iterate_blocks(reference), iterate_blocks(outputs), strict=True):
        total += float(kl_divergence(class_probabilities(one, logits), class_probabilities(other, logits)).sum())
    return max(0.0, total / len(reference))


def sqnr_db(signal_power: float, noise_power: float) -> float | None:
    """Return the signal-to-quantization-noise ratio in decibels: 10 log10 of the ratio of two powers.

    None where there is no noise. A signal of zero counts as one of the power `TINY`.
    """
    return float(10 * np.log10(max(signal_power, TINY) / noise_power)) if noise_power else None


def cosine_from_powers(product: ArrayLike, power: ArrayLike, other_power: ArrayLike) -> Doubles:
    """Return the cosine of the angle between two vectors, from their inner product and their squared lengths.

    All may be arrays of one shape, which the result has. Two zero vectors have the cosine 1, one zero vector 0.
    """
    inner, squared, other_squared = np.asarray(product), np.asarray(power), np.asarray(other_power)
    lengths = np.sqrt(squared * other_squared)
    have_lengths = lengths > 0
    cosine = np.where(have_lengths, inner / np.where(have_lengths, lengths, 1), squared == other_squared)
    return np.asarray(np.clip(cosine, -1.0, 1.0), np.float64)


@dataclass
class DifferenceAccumulator:
    """The differences of an array from a reference, added up block after block: memory doesn't grow with the samples.

    `noise_power` is the sum of their squares, `absolute` that of their absolute values.
    """

    values: int = 0
    noise_power: float = 0.0
    absolute: float = 0.0
    max_abs: float = 0.0

    def add(self, reference: Array, other: Array) -> None:
        """Add a block. ValueError where the two have different shapes."""
        if reference.shape != other.shape:
            raise ValueError(f"arrays of {reference.shape} and {other.shape}: give two of the same shape")
        differences = np.asarray(np.subtract(reference, other, dtype=np.float64))
        np.abs(differences, out=differences)
        self.values += differences.size
        self.noise_power += float(np.vdot(differences, differences))
        self.absolute += float(differences.sum())
        self.max_abs = max(self.max_abs, float(differences.max(initial=0.0)))

    @property
    def mean_abs(self) -> float:
        """The mean of the absolute differences, 0 of no values."""
        return self.absolute / max(1, self.values)


@dataclass
class ErrorAccumulator(DifferenceAccumulator):
    """The same with `signal_power` and `power`, the sums of the squares of the reference and of the other array, and
    `product`, their inner product.
    """

    signal_power: float = 0.0
    power: float = 0.0
    product: float = 0.0

    def add(self, reference: Array, other: Array) -> None:
        """Add a block. ValueError where the two have different shapes."""
        super().add(reference, other)
        exact, changed = reference.astype(np.float64), other.astype(np.float64)
        self.signal_power += float(np.vdot(exact, exact))
        self.power += float(np.vdot(changed, changed))
        self.product += float(np.vdot(exact, changed))

    @property
    def sqnr_db(self) -> float | None:
        """The signal-to-quantization-noise ratio in decibels, None where nothing differs."""
        return sqnr_db(self.signal_power, self.noise_power)

    @property
    def cosine(self) -> float:
        """The cosine of the angle between the two arrays, each as one vector."""
        return float(cosine_from_powers(self.product, self.signal_power, self.power))

    @property
    def noise_share(self) -> float:
        """The power of the differences, as a share of that of the reference."""
        return self.noise_power / max(self.signal_power, TINY)


def sum_of_squares(values: Array) -> float:
    """Return the sum of the squares of all values, read in blocks and added up in float64."""
    doubles = (block.astype(np.float64, copy=False) for block in iterate_blocks(values))
    return sum((float(np.vdot(block, block)) for block in doubles), 0.0)


def pareto_front(costs: ArrayLike, values: ArrayLike) -> list[int]:
    """Return the indices of the points that no other point dominates, the cheapest first.

    Parameters
    ----------
    costs, values : (points,)
        A point is dominated where another one costs no more and has no lower value, and differs from it. Points that
        are equal in both don't dominate each other: all are on the front, in the order in which they are given.
    """
    prices, goods = np.asarray(costs, np.float64), np.asarray(values, np.float64)
    front: list[int] = []
    for index in np.lexsort((-goods, prices)).tolist():  # a stable sort: by cost, of equals the best first
        if front:
            last = front[-1]
            is_equal = prices[index] == prices[last] and goods[index] == goods[last]
            if not is_equal and goods[index] <= goods[last]:
                continue
        front.append(index)
    return front


def rank_thresholds(scores: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the order of the scores, (samples,), the highest first, and how many samples each threshold takes in.

    Equal scores are one threshold. Both arrays are of indices: (samples,) and (thresholds,).
    """
    order = np.argsort(-scores, kind="stable")
    return order, np.flatnonzero(np.diff(scores[order], append=np.nan) != 0) + 1


def average_precision(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Return the sum over the thresholds of the precision times the gain in recall.

    Parameters
    ----------
    scores, positive : (samples,)
        The higher the score, the surer the positive answer. Equal scores are one threshold.

    Returns
    -------
    float
        From 0 to 1; NaN where no sample is positive.

    Notes
    -----
    It is that of scikit-learn: Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), ch. 8.
    """
    order, taken = rank_thresholds(scores)
    hits = np.cumsum(positive[order])[taken - 1]
    gains = np.diff(hits, prepend=0)
    return float((gains * hits / taken).sum() / hits[-1]) if len(hits) and hits[-1] else float("nan")


def mean_average_precision(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Return the mean of the average precision over the labels that have positives, 0 where none has.

    Both arrays are (samples, labels).
    """
    columns = zip(scores.T, positive.T, strict=True)
    precisions = [average_precision(column, flags) for column, flags in columns if flags.any()]
    return float(np.mean(precisions)) if precisions else 0.0


def r_squared(outputs: Array, exact: Array) -> float:
    """Return the coefficient of determination, 1 less the squared error over the squared deviation from the mean.

    Parameters
    ----------
    outputs, exact : (samples, values)
        Each value that differs between samples has an R² of its own, and the mean of these is returned. Of more than
        `MANY_VALUES`, such as the pixels of a picture, the error of all is taken over the deviation of all.

    Returns
    -------
    float
        1 is perfect, 0 as good as the mean. Where no value differs between samples, 1 without an error and else 0.
    """
    if count_values(exact) > MANY_VALUES:
        error, spread = squared_deviations(outputs, exact)
        return float(1 - error.sum() / max(float(spread.sum()), TINY))
    exact = exact.astype(np.float64)
    spread = np.square(exact - exact.mean(axis=0)).sum(axis=0)
    error = np.square(outputs - exact).sum(axis=0)
    varies = spread > 0
    return float(np.mean(1 - error[varies] / spread[varies])) if varies.any() else float(not error.any())


def squared_deviations(outputs: Array, exact: Array) -> tuple[Doubles, Doubles]:
    """Return the squared error of each sample, and its squared distance from the mean sample; both (samples,)."""
    mean_sample = sum(block.sum(axis=0, dtype=np.float64) for block in iterate_blocks(exact)) / max(1, len(exact))
    pairs = zip(iterate_blocks(outputs), iterate_blocks(exact), strict=True)
    error = np.concatenate([np.square(one.astype(np.float64) - other).sum(axis=1) for one, other in pairs])
    return error, np.concatenate([np.square(block - mean_sample).sum(axis=1) for block in iterate_blocks(exact)])


def explained_variance(outputs: Array, exact: Array) -> float:
    """Return 1 less the mean squared error over the variance of all values of `exact`; both of one shape."""
    error = total = square = 0.0
    for block, exact_block in zip(iterate_blocks(outputs), iterate_blocks(exact), strict=True):
        doubles = exact_block.astype(np.float64)
        error += float(np.square(block - doubles).sum())
        total += float(doubles.sum())
        square += float(np.square(doubles).sum())
    spread = square - total**2 / max(1, outputs.size)
    return 1 - error / max(spread, TINY)


def standard_deviation(values: Array) -> float:
    """Return the standard deviation of all values, read in blocks."""
    total = square = 0.0
    for block in iterate_blocks(values):
        doubles = block.astype(np.float64)
        total += float(doubles.sum())
        square += float(np.square(doubles).sum())
    mean = total / max(1, values.size)
    return float(np.sqrt(max(0.0, square / max(1, values.size) - mean**2)))


def binomial_tail(trials: int, probability: float) -> Doubles:
    """Return the probability of at least k successes of `trials` independent ones, for each k from 0, (trials + 1,).

    It is exact up to rounding: logarithms of factorials are added, so that no term overflows.
    """
    successes = np.arange(trials + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    log_choices = log_factorials[-1] - log_factorials - log_factorials[::-1]
    terms = np.exp(log_choices + successes * np.log(probability) + (trials - successes) * np.log1p(-probability))
    tails: Doubles = np.minimum(1.0, np.cumsum(terms[::-1])[::-1])
    return tails
