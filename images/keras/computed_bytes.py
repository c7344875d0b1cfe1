"""The bytes of tensors that TensorFlow computes for one sample, from the shapes in a graph that is not run."""

from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from images.keras.model.runtime import open_model
from shared.data import samples

NOT_COMPUTED = (  # operators that return their input, or a constant
    *("Const", "Placeholder", "ReadVariableOp", "VarHandleOp", "Identity", "StopGradient"),
    *("Reshape", "Squeeze", "ExpandDims"),
)


def per_sample(variant: Path, dataset: Path) -> int:
    """The bytes of all tensors that the model in `variant` computes for a sample as in `dataset`: see `count_bytes`."""
    return count_bytes(open_model(variant), dataset)


def count_bytes(model: keras.Model, dataset: Path) -> int:
    """The bytes of all tensors that `model` computes for a sample as in `dataset`.

    0 for a model of a fixed batch, whose batch can't be made smaller, and for an empty data set.
    """
    sample = samples.take(dataset, slice(1))
    if not len(sample[0]) or any(tensor.shape[0] is not None for tensor in model.inputs):
        return 0
    specs = [tf.TensorSpec(array.shape, tensor.dtype) for array, tensor in zip(sample, model.inputs, strict=True)]
    function = tf.function(lambda *arrays: model(list(arrays), training=False), input_signature=specs)
    graph = function.get_concrete_function().graph
    return sum(tensor_bytes(tensor) for operation in computing_operations(graph) for tensor in operation.outputs)


def computing_operations(graph: tf.Graph) -> Iterator[tf.Operation]:
    """The operations that compute, also in the functions that the graph calls: a SavedModel is a single call."""
    for operation in graph.get_operations():
        name = operation.get_attr("f").name if operation.type in ("PartitionedCall", "StatefulPartitionedCall") else ""
        inner = getattr(graph._get_function(name), "graph", None) if name else None
        if inner is not None:
            yield from computing_operations(inner)
        elif operation.type not in NOT_COMPUTED:
            yield operation


def tensor_bytes(tensor: tf.Tensor) -> int:
    """The size in bytes; a dimension that the graph leaves open counts as 1, since there is one sample."""
    if tensor.shape.rank is None:
        return 0
    count = 1
    for dimension in tensor.shape:
        count *= dimension or 1
    return count * (tensor.dtype.size or 0)
