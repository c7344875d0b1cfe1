"""Labels and groups of the test samples. A stage that runs the model can't read them: a hostile one could copy them."""

import shutil
from pathlib import Path

from shared.data import samples


def run(source: Path, out: Path) -> None:
    """Write `labels.npy` and `groups.npy`, where the data set has them."""
    for name, copy in (("y_test.npy", samples.LABELS), (f"{samples.GROUP}_test.npy", samples.GROUPS)):
        if (source / name).exists():
            shutil.copyfile(source / name, out / copy)
