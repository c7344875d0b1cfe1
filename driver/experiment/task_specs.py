"""The table of tasks: the headline metric of each, and what gates may be on.

A new task is a line here, a module in driver/analysis/tasks/ that computes its metrics, and its score in
shared/tasks.py, by which stages choose layers. What the labels of a task look like, the stages that read and check data
know by its name (shared/data/, images/keras/data/).
"""

from dataclasses import dataclass
from typing import Literal

from shared.data.task_names import Task


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    `headline` is the metric that variants are compared by; where it can't be computed, the first one that can is.
    `evaluated_against`: the labels, the model's own inputs, or the outputs of the reference.
    `has_classes`: is an answer the class with the highest value, so that answers are right or wrong and can change?
    `gates` names the metrics that gates may be on; those of every task are in COST_GATES.
    """

    headline: str
    evaluated_against: Literal["labels", "inputs", "reference"]
    gates: tuple[str, ...]
    has_classes: bool = False

    @property
    def all_gates(self) -> tuple[str, ...]:
        """Everything that a gate may be on."""
        return (*self.gates, *COST_GATES)

    @property
    def has_differences(self) -> bool:
        """Are metrics compared with the reference's? Not where each is a distance from its outputs already."""
        return self.evaluated_against != "reference"


# What gates of every task may be on. Times are of one call at batch 1 on one thread, and from a fresh process to its
# first answer; the memory is the largest of that process; the throughput, samples a second, is at the larger batch on
# one thread. KB and MB are 10³ and 10⁶ bytes.
COST_GATES = ("p50_ms", "p99_ms", "cold_start_seconds", "size_kb", "peak_memory_mb", "throughput")
CLASS_GATES = ("class_accuracy", "class_drop_pp")  # of the class that is worst off
# Of the class or the step that is worst off, where a task has a metric of each: the metric's name.
PART_GATES = {"class_iou": "iou", "class_f1": "tag_f1", "step_mae": "mae"}
TASKS = {
    "classification": TaskSpec(
        "accuracy",
        "labels",
        ("accuracy", "weighted_accuracy", "changed", "drop_pp", "agreement", "sqnr", "top5", *CLASS_GATES),
        has_classes=True,
    ),
    "multilabel": TaskSpec("map", "labels", ("map", "f1", "f1_macro", "drop_pp", "worse_percent", "sqnr")),
    "regression": TaskSpec("mae", "labels", ("mae", "rmse", "r2", "worse_percent", "sqnr")),
    "forecasting": TaskSpec("mae", "labels", ("mae", "rmse", "r2", "step_mae", "worse_percent", "sqnr")),
    "segmentation": TaskSpec(
        "miou", "labels", ("miou", "pixel_accuracy", "class_iou", "drop_pp", "worse_percent", "sqnr")
    ),
    "tagging": TaskSpec(
        "token_accuracy", "labels", ("token_accuracy", "token_f1", "class_f1", "drop_pp", "worse_percent", "sqnr")
    ),
    "detection": TaskSpec("coco_map", "labels", ("coco_map", "map50", "drop_pp", "worse_percent", "sqnr")),
    "reconstruction": TaskSpec("mse", "inputs", ("auc", "mse", "worse_percent", "sqnr")),
    "embedding": TaskSpec(
        "recall1",
        "labels",
        ("recall1", "recall5", "recall10", "spearman", "pearson", "drop_pp", "worse_percent", "sqnr"),
    ),
    "fidelity": TaskSpec("sqnr", "reference", ("sqnr", "cosine", "agreement")),
}
FIDELITY = ("sqnr", "cosine", "agreement")  # the metrics that are distances from the reference, which need no labels
DEFAULT_TASK = "classification"  # of data that say nothing else
UNLABELLED: Task = "fidelity"  # the task that is left where others need labels and there are none
