"""The Keras model, as keras.fp32 has it, in the form that LiteRT's converter takes: a function with named tensors."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from shared.errors import CrossquantError, Unsupported
from shared.runner import threads

FILE, FOLDER = "model.keras", "model.saved"  # as images/keras writes one or the other
USER_CODE, SIGNATURE = "custom_objects.py", "signature.json"
LONGEST_UNROLLED = 128  # steps: a graph of some thousand operators


@dataclass(frozen=True)
class Source:
    """`function` takes a tensor an input, as `inputs` describes them, and gives a list. `owner` holds its variables."""

    function: Callable[..., list[tf.Tensor]]
    inputs: tuple[tf.TensorSpec, ...]
    owner: Any


def read(folder: Path) -> Source:
    """Unsupported for a model that runs the user's own code: that is done in the keras image alone."""
    limit_threads()
    if (folder / USER_CODE).exists():
        raise Unsupported("the model has layers of its user's own: their code runs in the keras image alone")
    return from_saved(folder / FOLDER) if (folder / FOLDER).exists() else from_keras(folder / FILE)


def limit_threads() -> None:
    """TensorFlow fixes its threads with the first operator that a process runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads.allowed())
    tf.config.threading.set_inter_op_parallelism_threads(1)


def from_keras(path: Path) -> Source:
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise Unsupported(f"Keras {keras.__version__} can't load the model without its user's code: {first}") from error
    unroll(model)
    flat = keras.Model(list(model.inputs), list(model.outputs))  # a dict of inputs, or one alone, is a list from here

    def function(*tensors: tf.Tensor) -> list[tf.Tensor]:
        answers: list[tf.Tensor] = keras.tree.flatten(flat(list(tensors), training=False))
        return answers

    return Source(function, tuple(spec(*pair) for pair in enumerate(flat.inputs)), flat)


def unroll(model: keras.Model) -> None:
    """Recurrent layers step by step: the converter takes no loop of an unknown batch, and can't quantize one."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.RNN):
            _, steps, *_ = (layer.get_build_config() or {}).get("input_shape") or (None, None)
            layer.unroll = layer.unroll or (steps is not None and steps <= LONGEST_UNROLLED)


def from_saved(folder: Path) -> Source:
    """By the signature `serving_default`, in the order of signature.json, which has the model's own."""
    program = tf.saved_model.load(folder)
    answer = next(iter(program.signatures.values()))
    answer = program.signatures.get("serving_default", answer)
    order = json.loads((folder.parent / SIGNATURE).read_text())
    takes, gives = ([item["name"] for item in order[key]] for key in ("inputs", "outputs"))
    known = answer.structured_input_signature[1]
    if set(takes) != set(known):
        raise CrossquantError(f"{SIGNATURE} has the inputs {takes}, the SavedModel {sorted(known)}")

    def function(*tensors: tf.Tensor) -> list[tf.Tensor]:
        found = answer(**dict(zip(takes, tensors, strict=True)))
        return [found[name] for name in gives]

    return Source(function, tuple(spec(number, known[name]) for number, name in enumerate(takes)), program)


def spec(number: int, tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype, name=f"input_{number}")
