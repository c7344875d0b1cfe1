"""What `explain` holds the outputs of some samples against: their labels, and what the float model answers."""

from collections.abc import Sequence

import numpy as np

from shared import numerics, tasks
from shared.data import samples
from shared.data.samples import Array
from shared.data.subset import Subset
from shared.numerics import ErrorAccumulator
from shared.sensitivity.layer_errors import Distance

BATCH = 50  # samples


class Evaluator:
    """`exact` has the float model's outputs, (samples, …)."""

    def __init__(self, subset: Subset, exact: Array) -> None:
        self.about, self.labels, self.exact = samples.about(subset.folder), subset.labels, exact
        self.name = tasks.describe_score(self.about, self.labels)
        self.classes = self.about.task == "classification" and numerics.count_values(exact) > 1
        self.measure: Distance = "KL divergence" if self.classes else "noise"
        self.reference = load_inputs(subset) if self.about.task == "reconstruction" else exact

    def score(self, outputs: Array) -> float:
        """By the task, what `name` says; 1 is perfect."""
        return tasks.score_outputs(self.about, outputs, self.labels, self.reference)

    def distance(self, outputs: Array) -> float:
        """Return how far they are from the float model's: by KL divergence (nats), or the noise's share of the power.

        The divergence is that of driver/analysis/output_drift.py, so that `explain` and the report say the same.

        One column, of two classes, sums to 1 only with the other: alone it would diverge nowhere.
        """
        if self.classes:
            return numerics.mean_kl_divergence(self.exact, outputs)
        errors = ErrorAccumulator()
        errors.add(numerics.flatten_samples(self.exact), numerics.flatten_samples(outputs))
        return errors.noise_share

    def chance(self) -> float:
        """The score of guessing."""
        return 1 / tasks.count_classes(self.exact) if self.about.task == "classification" else 0.0


def load_inputs(subset: Subset) -> Array:
    found: Sequence[Array] = [batch[0] for batch in subset.batches(BATCH)]
    return np.concatenate(found)
