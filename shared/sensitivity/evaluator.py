"""What `explain` holds the outputs of some samples against: their labels, and what the float model answers."""

from collections.abc import Sequence

import numpy as np

from shared import tasks
from shared.data import samples
from shared.data.samples import Array
from shared.data.subset import Subset
from shared.sensitivity.layer_errors import Distance, divergence, noise_share

BATCH = 50  # samples


class Judge:
    """`exact` has the float model's outputs, (samples, …)."""

    def __init__(self, subset: Subset, exact: Array) -> None:
        self.about, self.labels, self.exact = samples.about(subset.folder), subset.labels, exact
        self.name = tasks.score_name(self.about, self.labels)
        self.classes = self.about.task == "classification" and int(np.prod(exact.shape[1:])) > 1
        self.measure: Distance = "KL divergence" if self.classes else "noise"
        self.reference = inputs(subset) if self.about.task == "reconstruction" else exact

    def score(self, outputs: Array) -> float:
        """By the task, what `name` says; 1 is perfect."""
        return tasks.score(self.about, outputs, self.labels, self.reference)

    def distance(self, outputs: Array) -> float:
        """How far from the float model's, as `measure` says: KL divergence (nats), or the noise's share of the power.

        One column, of two classes, sums to 1 only with the other: alone it would diverge nowhere.
        """
        exact, found = (array.reshape(len(array), -1) for array in (self.exact, outputs))
        return divergence(exact, found) if self.classes else noise_share(exact, found)

    def chance(self) -> float:
        """The score of guessing."""
        return 1 / max(2, int(np.prod(self.exact.shape[1:]))) if self.about.task == "classification" else 0.0


def inputs(subset: Subset) -> Array:
    found: Sequence[Array] = [batch[0] for batch in subset.batches(BATCH)]
    return np.concatenate(found)
