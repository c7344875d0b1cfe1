"""What is asked of a model's outputs, as far as stages must know it: how good they are, and whether they are sound."""

import numpy as np
from numpy.typing import NDArray

from shared.samples import About, Array

Doubles = NDArray[np.float64]


def class_probabilities(outputs: Array) -> Doubles:
    """(n, classes): of logits their softmax, of one sigmoid column two classes, of probabilities themselves."""
    rows = outputs.reshape(len(outputs), -1).astype(np.float64)
    if rows.shape[1] == 1:
        positive = rows if ((rows >= 0) & (rows <= 1)).all() else 1 / (1 + np.exp(-rows))
        return np.concatenate([1 - positive, positive], axis=1)
    if (rows < 0).any() or np.abs(rows.sum(axis=1) - 1).max(initial=0.0) > 0.01:
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))
    return rows


def broken(about: About, outputs: Array, labels: Array | None) -> str:
    """Why these outputs are not to be believed, "" where they are."""
    if about.task == "classification" and labels is not None:
        probabilities = class_probabilities(outputs)
        if at_chance(probabilities, labels):
            accuracy = float((probabilities.argmax(axis=1) == labels).mean())
            return f"answers no better than chance: {accuracy:.2%} with {probabilities.shape[1]} classes"
    return ""


def at_chance(probabilities: Array, labels: Array) -> bool:
    """Is the accuracy that of guessing? True up to three standard errors above 1/classes: such a variant is broken."""
    images, classes = probabilities.shape
    chance = 1 / classes
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    spread: float = (chance * (1 - chance) / images) ** 0.5
    return bool(accuracy <= chance + 3 * spread)


def score(about: About, outputs: Array, labels: Array | None, reference: Array | None) -> float:
    """Higher is better, 1 is perfect. `reference` is the input of a reconstruction, or the float model's outputs."""
    if about.task == "classification" and labels is not None:
        return float((class_probabilities(outputs).argmax(axis=1) == labels).mean())
    assert reference is not None
    noise = float(np.square(outputs - reference).sum())
    return 1 - noise / max(float(np.square(reference - reference.mean()).sum()), float(np.finfo(np.float32).tiny))
