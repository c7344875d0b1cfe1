"""Models that leave the sizes of their inputs open, and can be traced only for known ones: they take the data set's."""

import json
from collections.abc import Sequence
from pathlib import Path

import keras

from images.keras.model import end_names

FILE = "sizes.json"  # beside the model: the shape of one sample of each input
FIXED = "the model is traced for inputs of {} alone, the data set's: Keras can't trace it for sizes that are open"
GUESSES = (64, 32, 96, 128, 224, 256)  # where there is no data set


def write(shapes: Sequence[Sequence[int]], folder: Path) -> None:
    """Write these shapes beside the model in `folder`."""
    (folder / FILE).write_text(json.dumps([list(shape) for shape in shapes]))


def apply(model: keras.Model, folder: Path) -> keras.Model:
    """The model for inputs of the sizes that were written beside it; as it is, where there are none."""
    if not (folder / FILE).exists():
        return model
    return with_shapes(model, json.loads((folder / FILE).read_text()))


def with_shapes(model: keras.Model, shapes: Sequence[Sequence[int]]) -> keras.Model:
    """The model for samples of these shapes alone, one per input."""
    inputs = [
        keras.Input(batch_shape=(tensor.shape[0], *shape), dtype=tensor.dtype, name=tensor.name)
        for tensor, shape in zip(model.inputs, shapes, strict=True)
    ]
    outputs = keras.tree.flatten(model(inputs, training=False))
    sized = keras.Model(inputs, outputs, name=model.name)
    return end_names.name_ends(sized, end_names.input_names(model), end_names.output_names(model))


def guess_shapes(model: keras.Model, size: int) -> list[list[int]]:
    """The shapes of the model's samples, with `size` in the place of each open size."""
    return [[size if dim is None else dim for dim in tensor.shape[1:]] for tensor in model.inputs]


def describe(model: keras.Model) -> str:
    """A note on the sizes that the model was given."""
    return FIXED.format(describe_shapes(model))


def describe_shapes(model: keras.Model) -> str:
    """The shapes of the model's inputs, as 224 x 224 x 3."""
    return " and ".join(" x ".join(map(str, tensor.shape[1:])) for tensor in model.inputs)
