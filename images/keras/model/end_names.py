"""The names of a model's inputs and outputs: in its signature, and in every file that is made of it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from shared.text import printable

COUNTED = re.compile(r"keras_tensor(_\d+)?")  # Keras counts these in each process: no file has them
INPUTS, OUTPUTS = "input_names", "output_names"  # attributes of a model


def name_ends(model: keras.Model, inputs: Sequence[str], outputs: Sequence[str]) -> keras.Model:
    """The model itself, whose inputs and outputs are called by these names from now on."""
    setattr(model, INPUTS, list(inputs))
    setattr(model, OUTPUTS, list(outputs))
    return model


def input_names(model: keras.Model) -> list[str]:
    """A name per input: those that `name_ends` gave, the keys of a dictionary, or the tensors' own."""
    own = [tensor.name for tensor in model.inputs]
    given = getattr(model, INPUTS, None) or list(keys(getattr(model, "_inputs_struct", own), own))
    return [f"input_{number}" if COUNTED.fullmatch(name) else name for number, name in enumerate(given)]


def output_names(model: keras.Model) -> list[str]:
    """A name per output: those that `name_ends` gave, the keys of a dictionary, or the layers' own."""
    layers = [tensor._keras_history.operation.name for tensor in model.outputs]
    given = getattr(model, OUTPUTS, None) or layers  # Keras sets them too, to the layers'
    return list(keys(getattr(model, "_outputs_struct", given), given))


def keys(structure: Any, names: Sequence[str]) -> Iterator[str]:
    """The key of each of the structure's tensors where it is a dictionary; else the name in its place."""
    for (path, _), name in zip(keras.tree.flatten_with_path(structure), names, strict=True):
        yield next((key for key in path if isinstance(key, str)), name)


def distinct_names(model: keras.Model) -> tuple[list[str], list[str]]:
    """The names of inputs and outputs where no two may be equal, as in an ONNX file, and all can be shown."""
    taken: set[str] = set()
    inputs = [distinct_name(name, f"input_{number}", taken) for number, name in enumerate(input_names(model))]
    outputs = [distinct_name(name, f"output_{number}", taken) for number, name in enumerate(output_names(model))]
    return inputs, outputs


def distinct_name(name: str, default: str, taken: set[str]) -> str:
    """The name in a form that can be shown, or `default`, with a number where it is `taken`; added there."""
    shown = printable(name).strip() or default
    number, distinct = 0, shown
    while distinct in taken:
        number += 1
        distinct = f"{shown}_{number}"
    taken.add(distinct)
    return distinct
