"""Scores a model's answers by the task of a set of samples; the score decides which layers stay in float."""

from pathlib import Path

import numpy as np

from shared import tasks
from shared.data import samples
from shared.data.samples import Array
from shared.measure.predictions import Model

BATCH = 100  # samples


class Scorer:
    """Scores models on the samples in `folder`; 1 is perfect. `exact`, the float model, is what fidelity is held to.

    A model computes `each` bytes of a sample (shared/measure/sample_bytes.py).
    """

    def __init__(self, folder: Path, exact: Model, each: int = 0) -> None:
        self.folder, self.each = folder, each
        self.about, self.labels = samples.about(folder), samples.labels(folder)
        answers = self.answers(exact)
        self.reference = self.inputs() if self.about.task == "reconstruction" else answers
        self.exact = self.of(answers)

    def score(self, model: Model) -> float:
        return self.of(self.answers(model))

    def of(self, answers: Array) -> float:
        return tasks.score_outputs(self.about, answers, self.labels, self.reference)

    def answers(self, model: Model) -> Array:
        """Return the evaluated output for all samples, (samples, …)."""
        outputs = [
            samples.select_evaluated(model(batch), self.about)
            for batch in samples.batches(self.folder, samples.fitting(self.folder, BATCH, each=self.each))
        ]
        return np.concatenate(outputs)

    def inputs(self) -> Array:
        return np.concatenate([batch[0] for batch in samples.batches(self.folder, samples.fitting(self.folder, BATCH))])
