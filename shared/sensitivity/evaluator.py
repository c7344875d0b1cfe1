"""Scores outputs for `explain`, and measures their distance from the float model's."""

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
        self.distance_name: Distance = "KL divergence" if self.classes else "noise"
        self.reference = load_inputs(subset) if self.about.task == "reconstruction" else exact

    def score(self, outputs: Array) -> float:
        """Return the score of the task, which `name` names; 1 is perfect."""
        return tasks.score_outputs(self.about, outputs, self.labels, self.reference)

    def distance(self, outputs: Array) -> float:
        """Return the distance of outputs from the float model's: KL divergence (nats), or the noise's share of the
        power.

        The divergence is computed as in driver/analysis/output_drift.py, so that `explain` and the report agree. A
        single column, of two classes, has no divergence: normalized to a sum of 1, it would always be 1.
        """
        if self.classes:
            return numerics.mean_kl_divergence(self.exact, outputs)
        errors = ErrorAccumulator()
        errors.add(numerics.flatten_samples(self.exact), numerics.flatten_samples(outputs))
        return errors.noise_share

    def chance(self) -> float:
        """Return the score of guessing."""
        return 1 / tasks.count_classes(self.exact) if self.about.task == "classification" else 0.0


def load_inputs(subset: Subset) -> Array:
    """Return the first input of all samples, (samples, …)."""
    return np.concatenate([batch[0] for batch in subset.batches(BATCH)])
