"""The names of the tasks, for the driver, which checks experiments before it needs NumPy."""

from typing import Literal

Task = Literal["classification", "multilabel", "regression", "reconstruction", "fidelity"]
