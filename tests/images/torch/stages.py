"""The stages of the image as its stages.toml declares them, and what the files that they write answer."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from images.torch.runtime import formats
from shared.artifacts.store import ROOT


def defaults(run: str) -> dict[str, Any]:
    """The options of the first stage that is called `run`, as the driver hands them to it."""
    stages = tomllib.loads((ROOT / "images/torch/stages.toml").read_text())["stage"]
    options = next(stage for stage in stages if stage["run"] == run)["options"]
    return {name: option["default"] for name, option in options.items()}


def answers(variant: Path, images: np.ndarray) -> np.ndarray:
    """What a model of one input and one output makes of them, on one thread."""
    [found] = formats.load(variant, 1)((images,))
    return found
