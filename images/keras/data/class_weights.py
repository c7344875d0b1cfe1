"""What a sample of each class counts in the accuracy, as the experiment declares it."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from images.keras.data.sample_sets import TEST, printable_name
from images.keras.data.task_labels import CLASSIFICATION, TaskLabels
from shared.data.samples import BALANCED
from shared.errors import CrossquantError
from shared.text import suggest_names


def resolve_class_weights(
    given: Sequence[float] | Mapping[str, float] | str, labels: TaskLabels
) -> tuple[float, ...] | Literal["balanced"]:
    """Return a weight for each class, in their order; none where none are declared, and BALANCED as it is.

    `given` is BALANCED, or has weights in the order of the classes, or by their names or numbers: classes that are left
    out count 1. CrossquantError for weights that aren't of these classes, and for any task but a classification.
    """
    if not given:
        return ()
    if labels.task != CLASSIFICATION:
        raise CrossquantError(f"data.class_weights: the task is {labels.task}: only a classification has them")
    if isinstance(given, str):
        return BALANCED
    weights = list_weights(given, labels)
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise CrossquantError("data.class_weights: a weight is 0 or more, and one at least is above 0")
    test = labels.arrays.get(TEST)
    if test is not None and not any(weights[int(label)] for label in np.unique(test)):
        raise CrossquantError("data.class_weights: all classes of the test set weigh 0")
    return tuple(weights)


def list_weights(given: Sequence[float] | Mapping[str, float], labels: TaskLabels) -> list[float]:
    """Return the weights in the order of the classes. CrossquantError where they are of other classes, or too few."""
    names = labels.classes or tuple(map(str, range(count_classes(labels))))
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                hint = suggest_names(name, names)
                raise CrossquantError(printable_name(f"data.class_weights has no class '{name}': {hint}"))
        return [float(given.get(name, 1)) for name in names]
    if len(given) < len(names) or (labels.classes and len(given) != len(names)):
        raise CrossquantError(f"data.class_weights has {len(given)} numbers, there are {len(names)} classes")
    return [float(weight) for weight in given]


def count_classes(labels: TaskLabels) -> int:
    """Return how many classes without names the labels show."""
    return 1 + max(int(array.max()) for array in labels.arrays.values() if array is not None)
