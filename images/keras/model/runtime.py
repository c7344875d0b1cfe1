"""A Keras model as a callable."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from images.keras.model import custom, saved_model, tf_ops
from images.keras.safety import configuration
from shared.data.samples import Batch
from shared.data.signature import Signature, Tensor
from shared.errors import CrossquantError
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.runner import threads

FILE = "model.keras"
SCOPE = re.compile(r"'(?P<name>[^\n]*)' is not a valid (?:root )?scope name")
NAMING = "has a name that TensorFlow doesn't take: name it by letters, digits and _ . - alone, and save the model again"
TRUST = "trust.json"  # beside the model, where the user lets it run its own Lambda code


@dataclass(frozen=True)
class Traced:
    """`batch` is the only number of samples that the model takes, where it takes no other."""

    function: Any
    batch: int | None

    @property
    def types(self) -> list[str]:
        """What each input takes, as NumPy calls it."""
        return [spec.dtype.as_numpy_dtype for spec in self.function.structured_input_signature[0]]


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads: a traced graph, as TensorFlow serves it."""
    limit_threads(thread_count)
    return answering(open_model(variant), thread_count)


def limit_threads(thread_count: int) -> None:
    """TensorFlow fixes its threads with the first operator that a process runs: call this before any."""
    tf.config.threading.set_intra_op_parallelism_threads(thread_count)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def answering(model: keras.Model, thread_count: int) -> Model:
    traced = trace(model)
    answered = tf.config.threading.get_intra_op_parallelism_threads()
    threads.check("TensorFlow", thread_count, answered)

    def answer(batch: Batch) -> Batch:
        pairs = zip(batch, traced.types, strict=True)
        given = (tf.constant(array.astype(kind, copy=False)) for array, kind in pairs)
        return tuple(item.numpy() for item in traced.function(*given))

    return answer if traced.batch is None else in_batches_of(traced.batch, answer)


def open_model(variant: Path) -> keras.Model:
    """The model with a flat list of inputs and one of outputs, whatever form it was saved in."""
    if (variant / saved_model.FOLDER).exists():
        return saved_model.wrapped(variant / saved_model.FOLDER)
    trusted = (variant / TRUST).exists() and json.loads((variant / TRUST).read_text())
    return flat(read(variant / FILE, custom.objects(variant), trusted))


def read(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    """Without optimizer. Code inside of the file runs only with `trust`."""
    known = {**tf_ops.kept(trust), **objects}
    return keras.models.load_model(path, custom_objects=known, compile=False, safe_mode=not trust)


def flat(model: keras.Model) -> keras.Model:
    """The same layers, with lists of inputs and outputs: a Sequential, dicts, and a subclass that was built."""
    if getattr(model, "inputs", None):
        return keras.Model(list(model.inputs), list(model.outputs), name=model.name)
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, list | tuple) or not all(size is None or isinstance(size, int) for size in shape):
        raise CrossquantError("the model was never built and has no input: give it a keras.Input and save it again")
    inputs = keras.Input(batch_shape=tuple(shape))
    return keras.Model([inputs], keras.tree.flatten(model(inputs, training=False)), name=model.name)


def trace(model: keras.Model) -> Traced:
    """For any number of samples, if the model allows it; else for the batch that it was built with."""
    fixed = {tensor.shape[0] for tensor in model.inputs} - {None}
    if not fixed:
        return Traced(function_of(model, None), None)
    try:
        function = function_of(model, None)
        if all(tensor.shape[0] is None for tensor in function.structured_outputs):
            return Traced(function, None)
    except (ValueError, TypeError, tf.errors.OpError):
        pass  # a batch may be part of the graph, as that of a stateful layer is
    (batch,) = fixed
    return Traced(function_of(model, batch), batch)


def function_of(model: keras.Model, batch: int | None) -> Any:
    function = tf.function(
        lambda *arrays: [
            tf.convert_to_tensor(item) for item in keras.tree.flatten(model(list(arrays), training=False))
        ],
        input_signature=specs(model, batch),
    )
    try:
        return function.get_concrete_function()
    except ValueError as error:
        if found := SCOPE.search(str(error)):
            raise CrossquantError(f"layer '{configuration.shown(found['name'])}' {NAMING}") from error
        raise


def specs(model: keras.Model, batch: int | None) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec((batch, *tensor.shape[1:]), tensor.dtype, name=f"input_{number}")
        for number, tensor in enumerate(model.inputs)
    ]


def signature(model: keras.Model, batch: int | None) -> Signature:
    return Signature(
        tuple(described(tensor, tensor.name) for tensor in model.inputs),
        tuple(map(described, model.outputs, model.output_names)),
        batch,
    )


def described(tensor: keras.KerasTensor, name: str) -> Tensor:
    return Tensor(name, str(tensor.dtype), tuple(tensor.shape[1:]))
