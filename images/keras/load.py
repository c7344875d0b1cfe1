"""Read the user's model, in any of its formats, and store it in the one form that later stages read."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from images.keras import framework_messages, user_code
from images.keras.export import recurrent
from images.keras.model import archive, custom, input_order, keras2, lambdas, precision, saved_model, sizes
from images.keras.model.runtime import (
    FILE,
    TRUST,
    flatten_ends,
    model_signature,
    open_model,
    read_model,
    trace_model,
)
from images.keras.safety import files, program
from shared.artifacts.notes import write_notes
from shared.data import samples, signature
from shared.errors import CrossquantError
from shared.quantization import already

UNTRACEABLE = (ValueError, TypeError, AttributeError, tf.errors.OpError)  # what tracing for open sizes raises
SUFFIXES = (".keras", ".h5", ".hdf5")


def run(source: Path, dataset: Path, out: Path, *, trust: bool) -> None:
    """Write `model.keras`, without optimizer, or `model.saved/`; `signature.json`; and the user's own layers.

    Also `quantized_already.json`, where Keras has quantized the model, and `notes.json`, where there are notes.
    CrossquantError where there is no model, one that must not be opened, or one that doesn't fit the data set.
    """
    notes = store_model(source, out, trust)
    about, model = samples.about(dataset), open_model(out)
    refuse_stateful_layers(model)
    input_order.write(signature.match_names(model_signature(model, None), about.inputs), out)
    model = input_order.apply(model, out)
    signature.check_fits(model_signature(model, None), about, dataset)
    if pairing := signature.describe_pairing(model_signature(model, None), about.inputs):
        notes.append(pairing)
    if not can_be_traced(model):
        sizes.write([samples.mapped(path).shape[1:] for path in samples.inputs(dataset)], out)
        model = open_model(out)
        notes.append(sizes.describe(model))
    ends = model_signature(model, trace_model(model).batch)
    signature.write(signature.with_sizes(ends, dataset), out)
    write_notes(notes, out)


def can_be_traced(model: keras.Model) -> bool:
    """Can the model be traced as it is? True where it leaves no size open: its error is then to be seen."""
    if all(None not in tensor.shape[1:] for tensor in model.inputs):
        return True
    try:
        trace_model(model)
    except UNTRACEABLE:
        return False
    return True


def store_model(source: Path, out: Path, trust: bool) -> list[str]:
    """Write the user's model into `out`, in the form that `open_model` reads; notes on what it computes.

    `trust`: code inside of the model may run. CrossquantError where there is no model, or one that must not be opened.
    """
    path = find_model(source)
    objects = custom.load_objects(source)
    config = files.check_file(path, trust, objects)
    if path.is_dir():
        saved_model.copy_saved_model(path, out / saved_model.FOLDER)
        return []
    if (source / custom.FILE).exists():
        shutil.copyfile(source / custom.FILE, out / custom.FILE)
    if trust:
        (out / TRUST).write_text(json.dumps(True))
    model = load_file(path, objects, trust)
    flatten_ends(model)  # a model without inputs is refused before it is written
    model.save(out / FILE)
    already.write(precision.quantization_modes(model), out)
    return list(precision.describe_precision(config, model))


def find_model(source: Path) -> Path:
    """The one model in `source`: a file, the folder of a SavedModel, or `source` itself where it is one."""
    if (source / program.FILE).exists():
        return source
    models = [path for path in source.iterdir() if path.suffix.lower() in SUFFIXES or (path / program.FILE).exists()]
    if len(models) != 1:
        raise CrossquantError(f"the model must be one {', '.join(SUFFIXES[:2])} file or SavedModel folder")
    return models[0]


def load_file(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    """The model of a .keras or HDF5 file, without optimizer. `objects`: the user's own classes and functions, by name.

    CrossquantError in one line where Keras can't load it.
    """
    try:
        if files.is_hdf5(path):
            return keras2.load_hdf5(path, objects, trust)
        if keras2.is_old_archive(path):
            return keras2.load_archive(path, objects, trust)
        with archive.rewrite_archive(
            path, lambda config: precision.widen(lambdas.replace_code(config, objects))
        ) as readable:
            return read_model(readable, objects, trust)
    except CrossquantError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras raises anything, and so does the user's own layer
        line = user_code.error_line(error, path.with_name(custom.FILE))
        where = f" ({custom.FILE}, line {line})" if line else ""
        files.fail_to_load(path, shorten_error(error) + where)


def refuse_stateful_layers(model: keras.Model) -> None:
    """CrossquantError for a model whose predictions depend on the batch before."""
    for layer in recurrent.recurrent_layers(model):
        if layer.stateful:
            raise CrossquantError(
                f"layer '{layer.name}' is stateful, its answer depends on the batch before: "
                "save the model with stateful=False"
            )
    for layer in model.layers:
        if isinstance(layer, saved_model.SavedModelLayer) and (found := saved_model.find_assignments(layer.function)):
            raise CrossquantError(
                f"the SavedModel changes its own variables as it answers ({', '.join(found)}), its answer depends on "
                "the batch before: save it without state, a recurrent layer with stateful=False"
            )


def shorten_error(error: BaseException) -> str:
    """Keras's innermost message in one line, without the configuration that Keras adds to it."""
    text = str(error).rpartition(framework_messages.BEFORE_INNERMOST)[2].strip() or type(error).__name__
    lines = [line.strip("\"'") for line in text.splitlines() if line.strip()]
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    if unknown := framework_messages.UNKNOWN_CLASS.fullmatch(first):
        return f"{unknown['problem']}: name the Python file that defines it, by --code or in the experiment, model.code"
    return first[:300]
