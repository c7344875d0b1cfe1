"""The table of tasks: the headline metric of each, and the metrics that gates may be on.

A new task is a line here, a module in driver/analysis/tasks/ that computes its metrics, and its score in
shared/tasks.py, by which stages choose layers. Nothing else branches on a task's name.
"""

from dataclasses import dataclass
from typing import Literal

from shared.data.samples import Task


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    `headline` is the metric that variants are compared by; where it can't be computed, the first one that can is.
    `evaluated_against`: the labels, the model's own inputs, or the outputs of the reference.
    `has_classes`: is an answer the class with the highest value, so that answers are right or wrong and can change?
    `gates` names the metrics that gates may be on. `ranks_labels`: are the samples ranked once for each label, which
    takes so many times as long to resample?
    """

    headline: str
    evaluated_against: Literal["labels", "inputs", "reference"]
    gates: tuple[str, ...]
    has_classes: bool = False
    ranks_labels: bool = False

    @property
    def has_differences(self) -> bool:
        """Are metrics compared with the reference's? Not where each is a distance from its outputs already."""
        return self.evaluated_against != "reference"


TASKS = {
    "classification": TaskSpec(
        "accuracy", "labels", ("accuracy", "changed", "drop_pp", "agreement", "sqnr", "top5"), has_classes=True
    ),
    "multilabel": TaskSpec(
        "map", "labels", ("map", "f1", "f1_macro", "drop_pp", "worse_percent", "sqnr"), ranks_labels=True
    ),
    "regression": TaskSpec("mae", "labels", ("mae", "rmse", "r2", "worse_percent", "sqnr")),
    "reconstruction": TaskSpec("mse", "inputs", ("auc", "mse", "worse_percent", "sqnr")),
    "fidelity": TaskSpec("sqnr", "reference", ("sqnr", "cosine", "agreement")),
}
DEFAULT_TASK = "classification"  # of data that say nothing else
UNLABELLED: Task = "fidelity"  # the task that is left where others need labels and there are none
