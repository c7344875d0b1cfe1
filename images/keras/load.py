"""Read the user's model file, whatever its age, and keep it in the one format that later stages read."""

import zipfile
from pathlib import Path

import keras
import numpy as np

from images.keras.model import FILE
from shared.errors import CrossquantError
from shared.images import IMAGES, LABELS

SUFFIXES = (".keras", ".h5")


def run(source: Path, dataset: Path, out: Path) -> None:
    """Write `model.keras`, without optimizer. CrossquantError where the file is no model, or not one for the images."""
    files = [path for path in source.iterdir() if path.suffix in SUFFIXES]
    if len(files) != 1:
        raise CrossquantError(f"the model must be one {' or '.join(SUFFIXES)} file")
    model = read(files[0])
    check_shapes(model, dataset)
    model.save(out / FILE)


def read(path: Path) -> keras.Model:
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):  # Keras calls it "not found"
        raise CrossquantError(
            f"Keras {keras.__version__} can't load {path.name}: it is no .keras archive, or is cut short: get it again"
        )
    try:
        return keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise CrossquantError(f"Keras {keras.__version__} can't load {path.name}: {first}") from error


def check_shapes(model: keras.Model, dataset: Path) -> None:
    if not getattr(model, "inputs", None):
        raise CrossquantError("the model was never built and has no input: give it a keras.Input and save it again")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise CrossquantError(f"the model has {counts}: it must have one of each")
    images = np.load(dataset / IMAGES, mmap_mode="r").shape[1:]
    expected = tuple(model.input_shape[1:])
    fits = len(expected) == len(images) and all(a in (None, b) for a, b in zip(expected, images, strict=True))
    if not fits:
        raise CrossquantError(f"the model takes images of {expected}, the data set has {images}")
    classes = int(np.load(dataset / LABELS).max()) + 1
    if len(model.output_shape) != 2 or model.output_shape[1] < classes:
        raise CrossquantError(f"the model answers {model.output_shape[1:]}, the data set has {classes} classes")
