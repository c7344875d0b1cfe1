"""The calibration set: drawn once from the training samples, and used byte for byte by every quantizer."""

import json
from pathlib import Path

import numpy as np

from images.keras import sampling
from shared.data.samples import Indices
from shared.errors import CrossquantError

MANIFEST = "manifest.json"


def run(source: Path, out: Path, *, images: int, seed: int) -> None:
    """Write `images` training samples, as the data set has them, with their labels and a manifest of their indices.

    They are spread evenly over the classes and sorted by index. The draw uses the labels of the whole training set, so
    the embedded sample gives the same images as the full data set. CrossquantError where there are too few samples, or
    where one of them is a test sample too.
    """
    try:
        indices = sampling.draw_indices(source, sampling.drawable_indices(source), images, seed)
    except ValueError as error:
        raise CrossquantError(f"calibration.images is {images}: {error}") from None
    sampling.write_samples(source, indices, out)
    write_manifest(out, indices, seed)


def read_manifest(folder: Path) -> Indices:
    """The indices, in the training set, of the samples in `folder`: (n,) int64, sorted."""
    return np.array(json.loads((folder / MANIFEST).read_text())["indices"], dtype=np.int64)


def write_manifest(out: Path, indices: Indices, seed: int) -> None:
    """Record which samples of the training set `out` holds, and the seed of the draw."""
    manifest = {"split": "train", "seed": seed, "indices": indices.tolist()}
    (out / MANIFEST).write_text(json.dumps(manifest))
