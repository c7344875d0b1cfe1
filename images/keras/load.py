"""Read the user's model, whatever its age and form, and keep it in the one form that later stages read."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import keras

from images.keras.export import recurrent
from images.keras.model import custom, keras2, saved_model
from images.keras.model.runtime import FILE, TRUST, flat, open_model, read, signature, trace
from images.keras.safety import files, program
from shared.data import samples
from shared.data import signature as signatures
from shared.errors import CrossquantError

SUFFIXES = (".keras", ".h5", ".hdf5")
UNKNOWN = ("Could not locate", "Unknown layer", "Unknown object")
ADVICE = re.compile(r" Make sure| Please ensure")


def run(source: Path, dataset: Path, out: Path, *, trust: bool) -> None:
    """Write `model.keras`, without optimizer, or `model.saved/`, and `signature.json`; the user's own layers too.

    CrossquantError where there is no model, one that must not be opened, or one that isn't for the data set.
    """
    keep(source, out, trust)
    model = open_model(out)
    refuse_stateful(model)
    found = signature(model, trace(model).batch)
    signatures.check_fits(found, samples.about(dataset), dataset)
    signatures.write(signatures.with_sizes(found, dataset), out)


def keep(source: Path, out: Path, trust: bool) -> None:
    """Write the model into `out` in the form that `open_model` reads."""
    path = find(source)
    files.check(path, trust)
    if path.is_dir():
        saved_model.copy(path, out / saved_model.FOLDER)
        return
    if (source / custom.FILE).exists():
        shutil.copyfile(source / custom.FILE, out / custom.FILE)
    if trust:
        (out / TRUST).write_text(json.dumps(True))
    model = loaded(path, custom.objects(source), trust)
    flat(model)  # a model without inputs is refused before it is written
    model.save(out / FILE)


def find(source: Path) -> Path:
    """The one model in `source`: a file, the folder of a SavedModel, or `source` itself where it is one."""
    if (source / program.FILE).exists():
        return source
    found = [path for path in source.iterdir() if path.suffix.lower() in SUFFIXES or (path / program.FILE).exists()]
    if len(found) != 1:
        raise CrossquantError(f"the model must be one {', '.join(SUFFIXES[:2])} file or SavedModel folder")
    return found[0]


def loaded(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    try:
        return keras2.load(path, objects, trust) if path.suffix != ".keras" else read(path, objects, trust)
    except CrossquantError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras raises anything, and so does the user's own layer
        line = custom.line_of(error, path.with_name(custom.FILE))
        where = f" ({custom.FILE}, line {line})" if line else ""
        files.cant_load(path, reason(error) + where)


def refuse_stateful(model: keras.Model) -> None:
    for layer in recurrent.recurrent_layers(model):
        if layer.stateful:
            raise CrossquantError(
                f"layer '{layer.name}' is stateful, its answer depends on the batch before: "
                "save the model with stateful=False"
            )


def reason(error: BaseException) -> str:
    """The innermost of Keras's own words, without the configuration that it adds to them; one line."""
    text = str(error).rpartition("Exception encountered: ")[2].strip() or type(error).__name__
    lines = [line.strip("\"'") for line in text.splitlines() if line.strip()]
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    if first.startswith(UNKNOWN):
        what = ADVICE.split(first, maxsplit=1)[0].rstrip(".")
        return f"{what}: name the Python file that defines it in the experiment, model.code"
    return first[:300]
