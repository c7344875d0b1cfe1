"""A SavedModel folder as a Keras model of one layer, so that all stages treat it like any other model."""

import re
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from images.keras.safety import program
from shared.errors import CrossquantError

FOLDER = "model.saved"  # its files begin with "model.": they are the variant's size
SIGNATURE = "serving_default"
PARTS = ("variables", "assets")  # beside the program; whatever else lies there is not part of a SavedModel


def copy(source: Path, to: Path) -> None:
    """A SavedModel that TensorFlow can load, whichever optimizer it was saved with."""
    to.mkdir()
    model = program.read(source)
    if program.without_slots(model):
        (to / program.FILE).write_bytes(model.SerializeToString(deterministic=True))
    else:
        shutil.copyfile(source / program.FILE, to / program.FILE)
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, to / part)


class Served(keras.layers.Layer):
    """What the signature of a SavedModel answers: a list of tensors, in the order of `outputs`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(trainable=False, dtype="float32", autocast=False)
        self.program = tf.saved_model.load(folder)
        self.answer = chosen(self.program.signatures, folder.name)
        self.takes = input_order(self.program, self.answer)
        self.gives = sorted(self.answer.structured_outputs, key=natural)

    def call(self, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        found = self.answer(**dict(zip(self.takes, inputs, strict=True)))
        return [found[name] for name in self.gives]

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
        given = self.answer.structured_outputs
        return [keras.KerasTensor(given[name].shape, given[name].dtype.name, name=name) for name in self.gives]


def wrapped(folder: Path) -> keras.Model:
    """CrossquantError where the folder holds no model that answers."""
    try:
        layer = Served(folder)
    except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise CrossquantError(f"TensorFlow {tf.__version__} can't load the SavedModel: {first}") from error
    by_name = layer.answer.structured_input_signature[1]
    inputs = []
    for name in layer.takes:
        spec = by_name[name]
        if spec.shape.rank is None:
            raise CrossquantError(f"input '{name}' of the SavedModel has no rank: save it with an input signature")
        inputs.append(keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=name))
    model = keras.Model(inputs, layer(inputs))
    model.output_names = list(layer.gives)
    return model


def chosen(signatures: Any, name: str) -> Any:
    """The signature that answers: `serving_default`, or the only one there is."""
    known = list(signatures)
    if SIGNATURE in known:
        return signatures[SIGNATURE]
    if len(known) == 1:
        return signatures[known[0]]
    found = f"has the signatures {', '.join(known)}" if known else "has no signature"
    raise CrossquantError(f"{name} {found}, not {SIGNATURE}: save it with model.export()")


def input_order(program: Any, answer: Any) -> list[str]:
    """As the model has them, which Keras 3 leaves in its endpoint `serve`; else in the order of their names."""
    names = sorted(answer.structured_input_signature[1], key=natural)
    for function in getattr(getattr(program, "serve", None), "concrete_functions", ()):
        specs = tf.nest.flatten(function.structured_input_signature)
        own = [spec.name for spec in specs]
        if sorted(own, key=natural) == names:
            return own
    return names


def natural(name: str) -> list[Any]:
    """output_2 comes before output_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
