"""Folders of samples as stages read them: artifacts without a manifest."""

import json
from pathlib import Path
from typing import Any

import numpy as np


def save_samples(
    folder: Path, *inputs: np.ndarray, labels: np.ndarray | None = None, about: dict[str, Any] | None = None
) -> Path:
    """Write an array for each input of the model, the labels, and what `about.json` is to say; make the folder."""
    folder.mkdir(exist_ok=True)
    for number, array in enumerate(inputs):
        np.save(folder / f"input_{number}.npy", array)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    if about is not None:
        (folder / "about.json").write_text(json.dumps(about))
    return folder
