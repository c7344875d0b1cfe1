"""Runs the stages with the defaults of stages.toml, and the variants that they write."""

from pathlib import Path
from typing import Any

import numpy as np

from images.torch.runtime import formats
from tests.images import declared


def defaults(run: str) -> dict[str, Any]:
    """The options of the first stage that is called `run`, as the driver hands them to it."""
    return declared.defaults("torch", run)


def answers(variant: Path, images: np.ndarray) -> np.ndarray:
    """What a model of one input and one output makes of them, on one thread."""
    [outputs] = formats.load(variant, 1)((images,))
    return outputs
