"""Classification: accuracy, and top-5 accuracy of more than five classes."""

import numpy as np

from driver.analysis.tasks.base import Computation, Flags, Judged
from shared import numerics

TOP = 5


def compute(judged: Judged) -> dict[str, Computation]:
    if numerics.count_values(judged.outputs) <= TOP:
        return {"accuracy": judged.right}
    return {"accuracy": judged.right, "top5": among_the_first(judged)}


def among_the_first(judged: Judged, most: int = TOP) -> Flags:
    """(n,): are fewer than `most` classes better than the label's? Of equal classes the first one comes first."""
    outputs, labels = numerics.flatten_samples(judged.outputs), judged.classes
    labelled = np.take_along_axis(outputs, labels[:, None], axis=1)
    comes_before = np.arange(outputs.shape[1]) < labels[:, None]
    return np.asarray(((outputs > labelled) | ((outputs == labelled) & comes_before)).sum(axis=1) < most)


def check(judged: Judged) -> None:
    if judged.labels is not None:
        assert judged.classes is not None
