"""The test samples of the experiment, which every framework reads. Their labels are a separate artifact."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from images.keras import sampling
from images.keras.label_files import name_labels
from shared.data import samples


def run(source: Path, out: Path) -> None:
    """Write `input_0.npy` …, in the types of the data set, and `about.json` with shape and range of the labels."""
    for number, path in enumerate(sampling.array_paths(source, "test")):
        shutil.copyfile(path, out / samples.file(number))
    about = samples.about(source)
    further = tuple(
        replace(item, labels=samples.summarize_labels(load_labels(source, item.output)))
        for item in about.further_outputs
    )
    write_about(out, replace(about, further_outputs=further), load_labels(source))


def load_labels(source: Path, output: int | None = None) -> samples.Array | None:
    """Of the test samples, for the evaluated output or for another one by its number; None where there are none."""
    path = source / name_labels(output).format("test")
    return np.load(path) if path.exists() else None


def write_about(out: Path, about: samples.About, labels: samples.Array | None) -> None:
    """Write `about.json`: `about` with the shape and range of these labels, and nothing else of them."""
    (out / samples.ABOUT).write_text(json.dumps(asdict(replace(about, labels=samples.summarize_labels(labels)))))
