"""The test samples of the experiment, as every framework will see them. Their labels are an artifact of their own."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from images.keras import sampling as sources
from shared.data import samples


def run(source: Path, out: Path) -> None:
    """Write `input_0.npy` …, in the types of the data set, and `about.json`, with what is to be known of the labels."""
    for number, path in enumerate(sources.arrays(source, "test")):
        shutil.copyfile(path, out / samples.file(number))
    known = np.load(source / "y_test.npy") if (source / "y_test.npy").exists() else None
    write_about(out, samples.about(source), known)


def write_about(out: Path, about: samples.About, labels: samples.Array | None) -> None:
    (out / samples.ABOUT).write_text(json.dumps(asdict(replace(about, labels=samples.facts(labels)))))
