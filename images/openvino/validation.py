"""What NNCF's accuracy control goes by."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from images.openvino.session import answering, ov
from shared import tasks
from shared.data import samples
from shared.data.samples import Indices
from shared.measure.predictions import Model
from shared.quantization.scorer import Scorer
from shared.runner.progress import report

BATCH = 50


class Validation:
    """Called by NNCF with a model and some of `items`, which are batches of samples by their numbers.

    Remembers each score on all of them: the float model's first.
    """

    def __init__(self, holdout: Path, exact: Model, trials: int, each: int = 0) -> None:
        self.folder, self.scorer, self.trials = holdout, Scorer(holdout, exact, each), trials
        total, self.size = samples.count(holdout), samples.fitting(holdout, BATCH, each=each)
        self.items = [np.arange(start, min(start + self.size, total)) for start in range(0, total, self.size)]
        self.scores: list[float] = []

    def __call__(self, model: ov.CompiledModel, items: Iterable[Indices]) -> tuple[float, None]:
        """(score, nothing for each item: NNCF then asks item by item)"""
        asked = list(items)
        score = self.score(answering(model), asked)
        if len(asked) == len(self.items):
            self.scores.append(score)
            report(len(self.scores), self.trials + 1)
        return score, None

    def score(self, model: Model, items: list[Indices]) -> float:
        about, labels = self.scorer.about, self.scorer.labels
        outputs = [model(samples.take(self.folder, item))[about.judged] for item in items]
        where = np.concatenate(items)
        reference = self.scorer.reference[where]
        return tasks.score_outputs(about, np.concatenate(outputs), None if labels is None else labels[where], reference)
