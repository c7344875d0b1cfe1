"""The calibration set: drawn once from the training samples, used byte for byte by every quantizer."""

import json
from pathlib import Path

import numpy as np

from images.keras import sampling as sources
from shared.data.samples import Indices
from shared.errors import CrossquantError

MANIFEST = "manifest.json"


def run(source: Path, out: Path, *, images: int, seed: int) -> None:
    """Write what the data set has, of `images` training samples, and a manifest.

    As even over the classes as can be, in ascending order of their index in the training set. The draw looks at the
    labels of the whole training set, so that the embedded sample gives the very same images. CrossquantError where one
    of them is a test sample too.
    """
    try:
        indices = sources.draw(source, sources.drawable(source), images, seed)
    except ValueError as error:
        raise CrossquantError(f"calibration.images is {images}: {error}") from None
    sources.write(source, indices, out)
    write_manifest(out, indices, seed)


def read_manifest(folder: Path) -> Indices:
    """Which samples of the training set are in `folder`."""
    return np.array(json.loads((folder / MANIFEST).read_text())["indices"], dtype=np.int64)


def write_manifest(out: Path, indices: Indices, seed: int) -> None:
    """Which samples of the training set these are."""
    manifest = {"split": "train", "seed": seed, "indices": indices.tolist()}
    (out / MANIFEST).write_text(json.dumps(manifest))
