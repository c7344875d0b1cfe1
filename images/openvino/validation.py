"""The validation function of NNCF's accuracy control."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from images.openvino.session import ov, wrap_compiled
from shared import tasks
from shared.data import samples
from shared.data.samples import Indices
from shared.measure.predictions import Model
from shared.quantization.scorer import Scorer
from shared.runner.progress import report

BATCH = 50


class Validation:
    """Called by NNCF with a model and some of `items`, which are batches of sample indices.

    Records each score on all of them; the first is the float model's.
    """

    def __init__(self, holdout: Path, exact: Model, trials: int, sample_bytes: int = 0) -> None:
        self.folder, self.scorer, self.trials = holdout, Scorer(holdout, exact, sample_bytes), trials
        total, self.size = samples.count(holdout), samples.fitting(holdout, BATCH, each=sample_bytes)
        self.items = [np.arange(start, min(start + self.size, total)) for start in range(0, total, self.size)]
        self.scores: list[float] = []

    def __call__(self, model: ov.CompiledModel, items: Iterable[Indices]) -> tuple[float, None]:
        """Return (score, None). NNCF asks for each item by itself if there are no scores per item."""
        batches = list(items)
        score = self.score(wrap_compiled(model), batches)
        if len(batches) == len(self.items):
            self.scores.append(score)
            report(len(self.scores), self.trials + 1)
        return score, None

    def score(self, model: Model, items: list[Indices]) -> float:
        """Return the model's score, by the task, on these batches."""
        about, labels = self.scorer.about, self.scorer.labels
        outputs = [samples.select_evaluated(model(samples.take(self.folder, item)), about) for item in items]
        indices = np.concatenate(items)
        reference = self.scorer.reference[indices]
        labels = None if labels is None else labels[indices]
        return tasks.score_outputs(about, np.concatenate(outputs), labels, reference)
