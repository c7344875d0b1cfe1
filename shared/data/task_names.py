"""The names of the tasks, for the driver, which checks experiments before it needs NumPy."""

from typing import Literal, get_args

Task = Literal[
    "classification",
    "multilabel",
    "regression",
    "forecasting",
    "segmentation",
    "tagging",
    "detection",
    "reconstruction",
    "embedding",
    "fidelity",
]
TASK_NAMES: tuple[Task, ...] = get_args(Task)
