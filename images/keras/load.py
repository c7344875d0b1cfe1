"""Read the user's model file, whatever its age, and keep it in the one format that later stages read."""

import zipfile
from pathlib import Path

import keras

from images.keras.model import FILE
from shared import samples
from shared.errors import CrossquantError

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
    taken = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    given = [samples.mapped(path).shape[1:] for path in samples.inputs(dataset)]
    if len(taken) != len(given):
        raise CrossquantError(f"the model takes {len(taken)} inputs, the data set has {len(given)}")
    for expected, found in zip(taken, given, strict=True):
        fits = len(expected) == len(found) and all(a in (None, b) for a, b in zip(expected, found, strict=True))
        if not fits:
            raise CrossquantError(f"the model takes images of {expected}, the data set has {found}")
    check_classes(model, dataset)


def check_classes(model: keras.Model, dataset: Path) -> None:
    about, labels = samples.about(dataset), samples.labels(dataset)
    if about.task != "classification" or labels is None:
        return
    shape, classes = tuple(model.outputs[about.judged].shape), int(labels.max()) + 1
    enough = len(shape) == 2 and (shape[1] or classes) >= (1 if classes <= 2 else classes)
    if not enough:
        raise CrossquantError(f"the model answers {shape[1:]}, the data set has {classes} classes")
