"""Reads the Keras model, as keras.fp32 has it, in the form that the converter needs: a function with named inputs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from shared.errors import CrossquantError, Unsupported
from shared.runner import threads
from shared.text import first_line

FILE, FOLDER = "model.keras", "model.saved"  # images/keras writes one of the two
USER_CODE, SIGNATURE = "custom_objects.py", "signature.json"
LONGEST_UNROLLED = 128  # steps: a graph of some thousand operators


@dataclass(frozen=True)
class KerasSource:
    """`function` takes a tensor for each of `inputs` and returns a list of tensors.

    `variables_owner` is the object that holds its variables.
    """

    function: Callable[..., list[tf.Tensor]]
    inputs: tuple[tf.TensorSpec, ...]
    variables_owner: Any


def read_model(folder: Path) -> KerasSource:
    """The model in the artifact `folder`. Unsupported for one with the user's code, which only the keras image runs."""
    limit_threads()
    if (folder / USER_CODE).exists():
        raise Unsupported("the model has the user's own layers: their code runs in the keras image alone")
    return read_saved_model(folder / FOLDER) if (folder / FOLDER).exists() else read_keras(folder / FILE)


def limit_threads() -> None:
    """Set TensorFlow's threads. It fixes them with the first operator that a process runs: call this before any."""
    tf.config.threading.set_intra_op_parallelism_threads(threads.allowed())
    tf.config.threading.set_inter_op_parallelism_threads(1)


def read_keras(path: Path) -> KerasSource:
    """The model of a .keras file, its recurrent layers unrolled. Unsupported where Keras can't load it safely."""
    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        problem = first_line(error, 200)
        raise Unsupported(
            f"Keras {keras.__version__} can't load the model without the user's code: {problem}"
        ) from error
    unroll_layers(model)
    flat = keras.Model(list(model.inputs), list(model.outputs))  # inputs may be a dict or a single tensor

    def function(*tensors: tf.Tensor) -> list[tf.Tensor]:
        answers: list[tf.Tensor] = keras.tree.flatten(flat(list(tensors), training=False))
        return answers

    return KerasSource(function, tuple(input_spec(*pair) for pair in enumerate(flat.inputs)), flat)


def unroll_layers(model: keras.Model) -> None:
    """Unroll recurrent layers, in place: the converter takes no loop of an unknown batch, and can't quantize one."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.RNN):
            _, steps, *_ = (layer.get_build_config() or {}).get("input_shape") or (None, None)
            layer.unroll = layer.unroll or (steps is not None and steps <= LONGEST_UNROLLED)


def read_saved_model(folder: Path) -> KerasSource:
    """The signature `serving_default` of a SavedModel, or its first, with inputs and outputs as in signature.json."""
    program = tf.saved_model.load(folder)
    first = next(iter(program.signatures.values()))
    signature_function = program.signatures.get("serving_default", first)
    signature = json.loads((folder.parent / SIGNATURE).read_text())
    inputs, outputs = ([tensor["name"] for tensor in signature[key]] for key in ("inputs", "outputs"))
    specs = signature_function.structured_input_signature[1]
    if set(inputs) != set(specs):
        raise CrossquantError(f"{SIGNATURE} has the inputs {inputs}, the SavedModel {sorted(specs)}")

    def function(*tensors: tf.Tensor) -> list[tf.Tensor]:
        results = signature_function(**dict(zip(inputs, tensors, strict=True)))
        return [results[name] for name in outputs]

    return KerasSource(function, tuple(input_spec(number, specs[name]) for number, name in enumerate(inputs)), program)


def input_spec(number: int, tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype, name=f"input_{number}")
