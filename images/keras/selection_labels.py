"""The labels of the selection set: kept apart from its samples, as those of the test set are."""

from pathlib import Path

import numpy as np

from images.keras import sampling
from images.keras.calibration import read_manifest
from shared.data import samples


def run(source: Path, selection: Path, out: Path) -> None:
    """Write `labels.npy` and `groups.npy`, where the data set has them, in the order of the samples in `selection`."""
    labels = sampling.load_train_labels(source)
    if labels is not None:
        np.save(out / samples.LABELS, labels[read_manifest(selection)])
    if (source / f"{samples.GROUP}_train.npy").exists():
        np.save(out / samples.GROUPS, np.load(source / f"{samples.GROUP}_train.npy")[read_manifest(selection)])
