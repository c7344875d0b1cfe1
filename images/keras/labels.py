"""Labels and groups of the test samples. A stage that runs the model can't read them: a hostile one could copy them."""

import shutil
from pathlib import Path

from images.keras.label_files import GROUPS_FILE, LABELS_FILE, name_labels
from shared.data import samples


def run(source: Path, out: Path) -> None:
    """Write `labels.npy` and `groups.npy`, where the data set has them; labels of other outputs as `labels_1.npy` …"""
    further = samples.about(source).further_outputs
    copies = {name_labels(item.output): samples.labels_file(item.output) for item in further}
    for pattern, copy in ({LABELS_FILE: samples.LABELS, GROUPS_FILE: samples.GROUPS} | copies).items():
        name = pattern.format("test")
        if (source / name).exists():
            shutil.copyfile(source / name, out / copy)
