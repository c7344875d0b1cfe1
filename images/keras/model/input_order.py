"""Models whose inputs are put in the order of the data's arrays, where these have the inputs' names.

Keras sorts the inputs of a model that takes a dictionary, and data has the order that it was saved in.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import keras

from images.keras.model import end_names

FILE = "input_order.json"  # beside the model: the number of the model's own input for each array of the data


def write(order: Sequence[int], folder: Path) -> None:
    """Write the order beside the model in `folder`, unless it is the model's own."""
    if list(order) != sorted(order):
        (folder / FILE).write_text(json.dumps(list(order)))


def apply(model: keras.Model, folder: Path) -> keras.Model:
    """The model with its inputs in the order that was written beside it; as it is, where there is none."""
    if not (folder / FILE).exists():
        return model
    order = json.loads((folder / FILE).read_text())
    inputs, names = [model.inputs[number] for number in order], end_names.input_names(model)
    ordered = keras.Model(inputs, list(model.outputs), name=model.name)
    return end_names.name_ends(ordered, [names[number] for number in order], end_names.output_names(model))
