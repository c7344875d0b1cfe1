"""What is asked of a model's outputs, as far as stages must know it: how good they are, and whether they are sound.

Outputs are those of the output that the task judges, (samples, …) float32, as the model gives them: logits stay logits.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shared.data.samples import About, Array
from shared.errors import CrossquantError

Doubles = NDArray[np.float64]
VALUES = 1 << 22  # of an array that are looked at in one go: memory doesn't grow with the number of samples
WIDE = 64  # values a sample: more of them are judged as one
TINY = float(np.finfo(np.float32).tiny)
SLACK = 0.01  # by which a probability may be below 0 or above 1: eight bits do that
SCORES = {"classification": "accuracy", "multilabel": "mAP", "regression": "R²", "reconstruction": "explained variance"}
NEAR = 0.05  # of the reference's standard deviation: closer values agree


def score(about: About, outputs: Array, labels: Array | None, reference: Array | None) -> float:
    """Higher is better, 1 is perfect.

    classification: accuracy; multilabel: mean average precision; regression: R²; reconstruction: 1 less the mean
    squared error over the variance of the input, which `reference` is; fidelity, and wherever there are no labels:
    the agreement with the float model's outputs, which `reference` is. CrossquantError where shapes don't match.
    """
    if about.task == "reconstruction":
        assert reference is not None
        return explained(outputs, reference)
    if labels is None or about.task == "fidelity":
        assert reference is not None
        return float(agreeing(about, outputs, reference).mean())
    if about.task == "multilabel":
        return mean_average_precision(rows(outputs), flags(outputs, labels))
    if about.task == "regression":
        return r_squared(rows(outputs), matching(outputs, labels))
    return float((classes(outputs) == labels).mean())


def score_name(about: About, labels: Array | None) -> str:
    """What `score` gives, in a sentence."""
    judged = about.task == "reconstruction" or (labels is not None and about.task != "fidelity")
    return SCORES[about.task] if judged else "agreement"


def broken(about: About, outputs: Array, labels: Array | None) -> str:
    """Why these outputs are not to be believed, "" where they are."""
    if about.task == "classification" and labels is not None:
        if not at_chance(outputs, labels):
            return ""
        accuracy = float((classes(outputs) == labels).mean())
        return f"answers no better than chance: {accuracy:.2%} with {max(2, width(outputs))} classes"
    if len(outputs) > 1 and all((block == outputs[:1]).all() for block in blocks(outputs)):
        return "the same answer to every sample"
    return ""


def at_chance(outputs: Array, labels: Array) -> bool:
    """Is the accuracy that of guessing? True up to three standard errors above 1/classes: such a variant is broken."""
    chance = 1 / max(2, width(outputs))
    spread: float = (chance * (1 - chance) / len(outputs)) ** 0.5
    return bool((classes(outputs) == labels).mean() <= chance + 3 * spread)


def width(outputs: Array) -> int:
    """How many values an answer has."""
    return int(np.prod(outputs.shape[1:]))


def rows(outputs: Array) -> Array:
    """(n, values), whatever the rank."""
    return outputs.reshape(len(outputs), width(outputs))


def blocks(outputs: Array) -> Iterator[Array]:
    """Slices of the first axis that fit into memory."""
    size = max(1, VALUES // max(1, width(outputs)))
    return (outputs[start : start + size] for start in range(0, len(outputs), size))


def are_logits(outputs: Array) -> bool:
    """Has it what no probabilities have: a value below 0 or above 1?"""
    return any(block.min() < -SLACK or block.max() > 1 + SLACK for block in blocks(outputs) if block.size)


def class_probabilities(outputs: Array, logits: bool | None = None) -> Array:
    """(n, classes): of logits their softmax, of one sigmoid's column two classes, of probabilities themselves.

    `logits` says which they are, where something better than these outputs tells: those of the float model.
    """
    found = rows(outputs)
    logits = are_logits(found) if logits is None else logits
    if found.shape[1] == 1:
        positive = sigmoid(found) if logits else found
        return np.concatenate([1 - positive, positive], axis=1)
    if not logits:
        return found
    raised = np.exp(found - found.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def classes(outputs: Array, logits: bool | None = None) -> NDArray[np.int64]:
    """(n,): the class of each answer. A softmax changes no order."""
    found = rows(outputs)
    if found.shape[1] == 1:
        logits = are_logits(found) if logits is None else logits
        return np.asarray(found[:, 0] > (0.0 if logits else 0.5)).astype(np.int64)
    return np.asarray(found.argmax(axis=1))


def sigmoid(values: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))  # overflows nowhere


def flags(outputs: Array, labels: Array) -> NDArray[np.bool_]:
    """The labels of a multi-label task, (n, labels)."""
    return np.asarray(matching(outputs, labels) > 0)


def matching(outputs: Array, labels: Array) -> Array:
    """(n, values). CrossquantError where labels and outputs are not of one shape."""
    found = rows(labels)
    if found.shape != rows(outputs).shape:
        raise CrossquantError(
            f"labels of {labels.shape} and outputs of {outputs.shape}: a sample must have as many labels as the output "
            "that is judged has values; `judged` in the data's about.json names another output"
        )
    return found


def average_precision(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Sum over the thresholds of precision times the gain in recall; equal scores are one threshold. NaN without one.

    That of scikit-learn: Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), chapter 8.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    hits = np.cumsum(positive[order])[ends]
    gains = np.diff(hits, prepend=0)
    return float((gains * hits / (ends + 1)).sum() / hits[-1]) if len(hits) and hits[-1] else float("nan")


def mean_average_precision(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Over the labels that have positives; both (n, labels). 0 where none has."""
    found = [average_precision(*pair) for pair in zip(scores.T, positive.T, strict=True) if pair[1].any()]
    return float(np.mean(found)) if found else 0.0


def r_squared(outputs: Array, exact: Array) -> float:
    """Of each value that is not the same in every sample 1 less the squared error over the variance; then the mean.

    Of many values, such as a picture's, the error of all over the variance of all: each weighs as it varies.
    """
    if width(exact) > WIDE:
        error, spread = deviations(outputs, exact)
        return float(1 - error.sum() / max(float(spread.sum()), TINY))
    exact = exact.astype(np.float64)
    spread = np.square(exact - exact.mean(axis=0)).sum(axis=0)
    error = np.square(outputs - exact).sum(axis=0)
    told = spread > 0
    return float(np.mean(1 - error[told] / spread[told])) if told.any() else float(not error.any())


def deviations(outputs: Array, exact: Array) -> tuple[Doubles, Doubles]:
    """(n,) each: the squared error of a sample, and how far it is from the mean sample, squared."""
    middle = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(exact)) / max(1, len(exact))
    pairs = zip(blocks(outputs), blocks(exact), strict=True)
    error = np.concatenate([np.square(one.astype(np.float64) - other).sum(axis=1) for one, other in pairs])
    return error, np.concatenate([np.square(block - middle).sum(axis=1) for block in blocks(exact)])


def explained(outputs: Array, inputs: Array) -> float:
    """1 less the mean squared error over the variance of the inputs."""
    error = total = square = 0.0
    for block, exact in zip(blocks(outputs), blocks(same_shape(outputs, inputs)), strict=True):
        known = exact.astype(np.float64)
        error += float(np.square(block - known).sum())
        total += float(known.sum())
        square += float(np.square(known).sum())
    spread = square - total**2 / max(1, outputs.size)
    return 1 - error / max(spread, TINY)


def same_shape(outputs: Array, inputs: Array) -> Array:
    """What the outputs should be. CrossquantError where that is of another size."""
    if len(outputs) != len(inputs) or width(outputs) != width(inputs):
        raise CrossquantError(
            f"inputs of {inputs.shape} and outputs of {outputs.shape}: to reconstruct is to give what was taken"
        )
    return inputs.reshape(outputs.shape)


def agreeing(about: About, outputs: Array, reference: Array) -> Doubles:
    """(n,): how far each sample's outputs agree with the reference's, 0-1.

    Of classes 1 where the top one is the same. Else the share of the values that are no further from the reference's
    than a twentieth of the standard deviation of all of these.
    """
    if top_decides(about, reference):
        return np.asarray(classes(outputs) == classes(reference)).astype(np.float64)
    near = NEAR * deviation(reference)
    pairs = zip(blocks(rows(outputs)), blocks(rows(reference)), strict=True)
    return np.concatenate([(np.abs(one - other) <= near).mean(axis=1) for one, other in pairs])


def top_decides(about: About, reference: Array) -> bool:
    """Are they classes? So it is where classes have names, or every row is of probabilities that sum to 1."""
    if about.task == "classification":
        return True
    if reference.ndim != 2 or reference.shape[1] < 2 or about.task != "fidelity":
        return False
    sums = (np.abs(block.sum(axis=1) - 1).max() for block in blocks(reference))
    return len(about.classes) == reference.shape[1] or (not are_logits(reference) and max(sums, default=1.0) <= SLACK)


def deviation(values: Array) -> float:
    """The standard deviation of all values."""
    total = square = 0.0
    for block in blocks(values):
        known = block.astype(np.float64)
        total += float(known.sum())
        square += float(np.square(known).sum())
    mean = total / max(1, values.size)
    return float(np.sqrt(max(0.0, square / max(1, values.size) - mean**2)))
