"""Classes by position: the class of each pixel of a mask, or of each token of a text.

Labels are (samples, …) class numbers, and IGNORED at positions that don't count; outputs have the same axes, and one
more with a value for each class, or as many values as there are positions, each of the second of two classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared import numerics
from shared.data.samples import IGNORED, Array
from shared.errors import CrossquantError

Shape = tuple[int, ...]
Doubles = NDArray[np.float64]
ByClass = Callable[[Doubles, Doubles, Doubles], Doubles]  # of counts (…, classes): right, answered, labelled


@dataclass(frozen=True)
class PositionCounts:
    """How many positions of each sample are of each class, (samples, classes): by the labels, by the answers, and by
    both. Ignored positions are in none of them.
    """

    right: Doubles
    answered: Doubles
    labelled: Doubles

    def summarize(self, by_class: "ByClass") -> tuple[float | None, ...]:
        """Return what `by_class` makes of the counts of all samples: a value for each class, None where nothing is."""
        return tuple(None if np.isnan(value) else float(value) for value in self.apply(by_class))

    def apply(self, by_class: "ByClass") -> Doubles:
        """Return what `by_class` makes of the counts of all samples, (classes,)."""
        return by_class(*(each.sum(axis=0) for each in (self.right, self.answered, self.labelled)))


def find_class_axis(outputs: Shape, labels: Shape) -> int | None:
    """Return the axis of the classes in outputs of this shape, where labels have that one; both with the samples' axis.

    It is the last one where several would do; None where each position has one value. CrossquantError where the shapes
    don't fit.
    """
    for axis in (len(outputs) - 1, *range(1, len(outputs) - 1)):
        if len(outputs) == len(labels) + 1 and outputs[:axis] + outputs[axis + 1 :] == labels and outputs[axis] > 1:
            return int(axis)
    if outputs in (labels, (*labels, 1), (*labels[:1], 1, *labels[1:])):
        return None
    raise CrossquantError(
        f"labels of {labels[1:]} a sample and outputs of {outputs[1:]}: an output must have a value for each class at "
        "each position that is labelled"
    )


def count_classes(outputs: Array, labels: Array) -> int:
    """Return how many classes the outputs tell apart."""
    axis = find_class_axis(outputs.shape, labels.shape)
    return 2 if axis is None else int(outputs.shape[axis])


def answer_positions(outputs: Array, labels: Array, threshold: float = 0.5) -> Array:
    """Return the class of each position by the outputs, in the shape of the labels.

    A single value is of the second class where it is above `threshold`.
    """
    axis = find_class_axis(outputs.shape, labels.shape)
    if axis is None:
        return np.asarray(outputs.reshape(labels.shape) > threshold).astype(np.int64)
    return np.asarray(outputs.argmax(axis=axis))


def find_threshold(outputs: Array, logits: bool | None) -> float:
    """Return from where on a single value says the second class: 0 of logits, 0.5 of probabilities."""
    return 0.0 if (numerics.are_logits(outputs) if logits is None else logits) else 0.5


def iterate_positions(outputs: Array, labels: Array, logits: bool | None) -> Iterator[tuple[Array, Array]]:
    """Yield blocks of samples: the class of each position by the outputs and by the labels, (samples, positions).

    `logits`: are the outputs logits? None where only they themselves can tell. CrossquantError for labels that are none
    of the classes.
    """
    classes, threshold, start = count_classes(outputs, labels), find_threshold(outputs, logits), 0
    check_range(labels, classes)
    for block in numerics.iterate_blocks(outputs):
        labelled = labels[start : start + len(block)]
        yield (
            answer_positions(block, labelled, threshold).reshape(len(block), -1),
            labelled.reshape(len(block), -1).astype(np.int64),
        )
        start += len(block)


def check_range(labels: Array, classes: int) -> None:
    """Raise CrossquantError where a label is none of the model's classes."""
    if labels.size and not labels.min() >= IGNORED <= labels.max() < classes:
        raise CrossquantError(
            f"labels from {labels.min()} to {labels.max()}, but the model answers {classes} classes at each position: "
            "number the classes from 0, and set data.ignored_label to the label that doesn't count"
        )


def count_positions(outputs: Array, labels: Array, logits: bool | None = None) -> PositionCounts:
    """Count the positions of each sample by class.

    `logits`: are the outputs logits? None where only they themselves can tell.
    """
    classes = count_classes(outputs, labels)
    blocks = []
    for answered, labelled in iterate_positions(outputs, labels, logits):
        counted = labelled != IGNORED
        right = counted & (answered == labelled)
        pairs = ((labelled, right), (answered, counted), (labelled, counted))
        blocks.append([count_by_class(classes_at, where, classes) for classes_at, where in pairs])
    columns = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    return PositionCounts(*columns)


def count_by_class(classes_at: Array, counted: Array, classes: int) -> Doubles:
    """(samples, classes): how many of the `counted` positions are of each class."""
    rows = np.arange(len(classes_at))[:, None] * classes + classes_at
    counts = np.bincount(rows[counted], minlength=len(classes_at) * classes)
    return counts.reshape(len(classes_at), classes).astype(np.float64)


def intersection_over_union(right: Doubles, answered: Doubles, labelled: Doubles) -> Doubles:
    """Return the quotient for each class, (…, classes); NaN of a class that neither has."""
    union = answered + labelled - right
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(union > 0, right / union, np.nan))


def f1_scores(right: Doubles, answered: Doubles, labelled: Doubles) -> Doubles:
    """Return F1 for each class, (…, classes); NaN of a class that neither has."""
    both = answered + labelled
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(both > 0, 2 * right / both, np.nan))


def mean_over_classes(values: Doubles) -> Doubles:
    """Return the mean over the classes that are there, (…,); NaN where none is."""
    there = ~np.isnan(values)
    counts = there.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(there, values, 0).sum(axis=-1) / np.where(counts > 0, counts, np.nan))
