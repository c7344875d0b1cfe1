"""A Keras model as a function of NumPy arrays."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from images.keras import framework_messages
from images.keras.model import (
    custom,
    end_names,
    input_order,
    keras2_functions,
    saved_model,
    sizes,
    tf_nodes,
    tf_ops,
)
from shared.data.samples import Batch
from shared.data.signature import Signature, Tensor
from shared.errors import CrossquantError
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.runner import threads
from shared.text import printable

FILE = "model.keras"
NAMING = "has a name that TensorFlow doesn't take: name it by letters, digits and _ . - alone, and save the model again"
TRUST = "trust.json"  # beside the model, where the user lets it run its own Lambda code


@dataclass(frozen=True)
class TracedModel:
    """A model as a concrete function of TensorFlow; `batch` is the batch size, where the model takes only one."""

    function: Any
    batch: int | None

    @property
    def input_types(self) -> list[str]:
        """The type of each input, as NumPy calls it."""
        return [spec.dtype.as_numpy_dtype for spec in self.function.structured_input_signature[0]]

    def as_callable(self) -> Model:
        """The model as a function from a batch of inputs to a batch of outputs, arrays of one length."""

        def predict(batch: Batch) -> Batch:
            pairs = zip(batch, self.input_types, strict=True)
            inputs = (tf.constant(array.astype(dtype, copy=False)) for array, dtype in pairs)
            return tuple(output.numpy() for output in self.function(*inputs))

        return predict if self.batch is None else in_batches_of(self.batch, predict)


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads: a traced graph, as TensorFlow serves it."""
    limit_threads(thread_count)
    return make_callable(open_model(variant), thread_count)


def limit_threads(thread_count: int) -> None:
    """Set TensorFlow's threads. It fixes them with the first operator that a process runs: call this before any."""
    tf.config.threading.set_intra_op_parallelism_threads(thread_count)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def make_callable(model: keras.Model, thread_count: int) -> Model:
    """The model as a function from a batch of inputs to a batch of outputs, arrays of one length.

    CrossquantError where TensorFlow runs on another number of threads.
    """
    predict = trace_model(model).as_callable()
    threads.check("TensorFlow", thread_count, tf.config.threading.get_intra_op_parallelism_threads())
    return predict


def open_model(variant: Path) -> keras.Model:
    """The model of a variant, in whichever form it was stored, with a flat list of inputs and one of outputs."""
    if (variant / saved_model.FOLDER).exists():
        model = saved_model.wrap_saved_model(variant / saved_model.FOLDER)
    else:
        trusted = (variant / TRUST).exists() and json.loads((variant / TRUST).read_text())
        model = flatten_ends(read_model(variant / FILE, custom.load_objects(variant), trusted))
    return sizes.apply(input_order.apply(model, variant), variant)


def read_model(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    """The model of a .keras file, without optimizer. Code inside of the file runs only with `trust`.

    `objects` are the user's own classes and functions, by name. Keras's own errors are passed on.
    """
    own = {**tf_ops.stored_classes(trust), **tf_nodes.stored_classes(trust), **keras2_functions.stored_functions()}
    custom_objects = {**own, **objects}
    return keras.models.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=not trust)


def flatten_ends(model: keras.Model) -> keras.Model:
    """The same layers with flat lists of inputs and outputs; for a Sequential, dicts, and a subclass that was built.

    Their names are the model's, or the keys of its dicts. CrossquantError for a model without inputs.
    """
    if getattr(model, "inputs", None):
        flat = keras.Model(list(model.inputs), list(model.outputs), name=model.name)
        return end_names.name_ends(flat, end_names.input_names(model), end_names.output_names(model))
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, list | tuple) or not all(size is None or isinstance(size, int) for size in shape):
        raise CrossquantError("the model was never built and has no input: give it a keras.Input and save it again")
    inputs = keras.Input(batch_shape=tuple(shape), name="input_0")
    outputs = model(inputs, training=False)
    flat = keras.Model([inputs], keras.tree.flatten(outputs), name=model.name)
    return end_names.name_ends(flat, ["input_0"], list(end_names.keys(outputs, flat.output_names)))


def trace_model(model: keras.Model) -> TracedModel:
    """Trace the model for any batch size, if the model allows it; else for the batch size that it was built with."""
    batch_sizes = {tensor.shape[0] for tensor in model.inputs} - {None}
    if not batch_sizes:
        return TracedModel(trace_function(model, None), None)
    try:
        function = trace_function(model, None)
        if all(tensor.shape[0] is None for tensor in function.structured_outputs):
            return TracedModel(function, None)
    except (ValueError, TypeError, tf.errors.OpError):
        pass  # the batch size may be part of the graph, as that of a stateful layer is
    (batch,) = batch_sizes
    return TracedModel(trace_function(model, batch), batch)


def trace_function(model: keras.Model, batch: int | None) -> Any:
    """The concrete function for this batch size (None: any). CrossquantError for a layer's name TensorFlow refuses."""
    function = tf.function(
        lambda *arrays: [
            tf.convert_to_tensor(output) for output in keras.tree.flatten(model(list(arrays), training=False))
        ],
        input_signature=input_specs(model, batch),
    )
    try:
        return function.get_concrete_function()
    except ValueError as error:
        if match := framework_messages.INVALID_SCOPE_NAME.search(str(error)):
            raise CrossquantError(f"layer '{printable(match['name'], 100)}' {NAMING}") from error
        raise


def input_specs(model: keras.Model, batch: int | None) -> list[tf.TensorSpec]:
    """The inputs as TensorFlow's specs, named `input_0` …; `batch` is the first dimension, None for any."""
    return [
        tf.TensorSpec((batch, *tensor.shape[1:]), tensor.dtype, name=f"input_{number}")
        for number, tensor in enumerate(model.inputs)
    ]


def model_signature(model: keras.Model, batch: int | None) -> Signature:
    """Names, types and shapes of inputs and outputs; `batch` is the only batch size that the model takes, if any."""
    return Signature(
        tuple(map(tensor_signature, model.inputs, end_names.input_names(model))),
        tuple(map(tensor_signature, model.outputs, end_names.output_names(model))),
        batch,
    )


def tensor_signature(tensor: keras.KerasTensor, name: str) -> Tensor:
    return Tensor(name, str(tensor.dtype), tuple(tensor.shape[1:]))
