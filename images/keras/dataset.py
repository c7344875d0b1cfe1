"""The test samples of the experiment, which every framework reads. Their labels are a separate artifact."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from images.keras import sampling
from shared.data import samples


def run(source: Path, out: Path) -> None:
    """Write `input_0.npy` …, in the types of the data set, and `about.json` with shape and range of the labels."""
    for number, path in enumerate(sampling.array_paths(source, "test")):
        shutil.copyfile(path, out / samples.file(number))
    labels = np.load(source / "y_test.npy") if (source / "y_test.npy").exists() else None
    write_about(out, samples.about(source), labels)


def write_about(out: Path, about: samples.About, labels: samples.Array | None) -> None:
    """Write `about.json`: `about` with the shape and range of these labels, and nothing else of them."""
    (out / samples.ABOUT).write_text(json.dumps(asdict(replace(about, labels=samples.summarize_labels(labels)))))
