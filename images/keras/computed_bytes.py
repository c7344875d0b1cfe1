"""How many bytes of tensors TensorFlow computes for a sample: from the shapes in a graph for one, which isn't run."""

from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from images.keras.model.runtime import open_model
from shared.data import samples

PASSED_ON = (  # operators that give what they were given, or a constant
    *("Const", "Placeholder", "ReadVariableOp", "VarHandleOp", "Identity", "StopGradient"),
    *("Reshape", "Squeeze", "ExpandDims"),
)


def per_sample(variant: Path, dataset: Path) -> int:
    """Of all tensors of the model in `variant`; 0 for one of a fixed batch, and without a sample."""
    return of(open_model(variant), dataset)


def of(model: keras.Model, dataset: Path) -> int:
    """The same of a model that is open; 0 for one of a fixed batch, which takes what it takes, and without a sample."""
    sample = samples.take(dataset, slice(1))
    if not len(sample[0]) or any(tensor.shape[0] is not None for tensor in model.inputs):
        return 0
    specs = [tf.TensorSpec(array.shape, tensor.dtype) for array, tensor in zip(sample, model.inputs, strict=True)]
    function = tf.function(lambda *arrays: model(list(arrays), training=False), input_signature=specs)
    graph = function.get_concrete_function().graph
    return sum(size(tensor) for operation in operations(graph) for tensor in operation.outputs)


def operations(graph: tf.Graph) -> Iterator[tf.Operation]:
    """Those that compute, in the functions that the graph calls too: a SavedModel is one call."""
    for operation in graph.get_operations():
        name = operation.get_attr("f").name if operation.type in ("PartitionedCall", "StatefulPartitionedCall") else ""
        inner = getattr(graph._get_function(name), "graph", None) if name else None
        if inner is not None:
            yield from operations(inner)
        elif operation.type not in PASSED_ON:
            yield operation


def size(tensor: tf.Tensor) -> int:
    """A dimension that the graph leaves open counts as 1: there is one sample."""
    if tensor.shape.rank is None:
        return 0
    count = 1
    for dimension in tensor.shape:
        count *= dimension or 1
    return count * (tensor.dtype.size or 0)
