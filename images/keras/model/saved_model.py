"""A SavedModel folder as a Keras model of one layer, so that all stages treat it like any other model."""

import re
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from images.keras.model import end_names
from images.keras.safety import program
from shared.errors import CrossquantError
from shared.text import first_line

FOLDER = "model.saved"  # its files begin with "model.": they are the variant's size
SIGNATURE = "serving_default"
ASSIGNMENTS = frozenset(("Assign", "AssignAdd", "AssignSub"))  # to a variable, of TensorFlow 1 and of 2
ASSIGNMENTS |= {f"{name}VariableOp" for name in ASSIGNMENTS}
PARTS = ("variables", "assets")  # beside the program; other files in the folder are not part of a SavedModel


def copy_saved_model(source: Path, target: Path) -> None:
    """Copy a SavedModel to the new folder `target`, without the optimizer state that TensorFlow can't load."""
    target.mkdir()
    model = program.read_program(source)
    if program.clear_slot_variables(model):
        (target / program.FILE).write_bytes(model.SerializeToString(deterministic=True))
    else:
        shutil.copyfile(source / program.FILE, target / program.FILE)
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part)


class SavedModelLayer(keras.layers.Layer):
    """A SavedModel's signature as a layer: from a list of tensors to a list of tensors, in the model's order."""

    def __init__(self, folder: Path) -> None:
        super().__init__(trainable=False, dtype="float32", autocast=False)
        self.program = tf.saved_model.load(folder)
        self.function = choose_signature(self.program.signatures, folder.name)
        self.input_order = find_input_order(self.program, self.function)
        self.output_order = sorted(self.function.structured_outputs, key=natural_sort_key)

    def call(self, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        outputs = self.function(**dict(zip(self.input_order, inputs, strict=True)))
        return [outputs[name] for name in self.output_order]

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
        specs = self.function.structured_outputs
        return [keras.KerasTensor(specs[name].shape, specs[name].dtype.name, name=name) for name in self.output_order]


def wrap_saved_model(folder: Path) -> keras.Model:
    """The SavedModel in `folder` as a Keras model with named inputs and outputs.

    CrossquantError where TensorFlow can't load it, or where it has no signature to call.
    """
    try:
        layer = SavedModelLayer(folder)
    except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
        raise CrossquantError(
            f"TensorFlow {tf.__version__} can't load the SavedModel: {first_line(error, 200)}"
        ) from error
    specs = layer.function.structured_input_signature[1]
    inputs = []
    for name in layer.input_order:
        spec = specs[name]
        if spec.shape.rank is None:
            raise CrossquantError(f"input '{name}' of the SavedModel has no rank: save it with an input signature")
        inputs.append(keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=name))
    return end_names.name_ends(keras.Model(inputs, layer(inputs)), layer.input_order, layer.output_order)


def find_assignments(function: Any) -> list[str]:
    """The operators by which a signature changes variables as it answers, sorted; none for nearly all models."""
    graph = function.graph.as_graph_def()
    library = {program.function_name(item): item.node_def for item in graph.library.function}
    nodes = list(graph.node)
    seen: set[str] = set()
    operators: set[str] = set()
    while nodes:
        node = nodes.pop()
        operators.add(node.op)
        for name in program.called_functions(node) & library.keys() - seen:
            seen.add(name)
            nodes.extend(library[name])
    return sorted(operators & ASSIGNMENTS)


def choose_signature(signatures: Any, folder_name: str) -> Any:
    """The signature to call: `serving_default`, or the only one. CrossquantError where there are none or several."""
    names = list(signatures)
    if SIGNATURE in names:
        return signatures[SIGNATURE]
    if len(names) == 1:
        return signatures[names[0]]
    problem = f"has the signatures {', '.join(names)}" if names else "has no signature"
    raise CrossquantError(f"{folder_name} {problem}, not {SIGNATURE}: save it with model.export()")


def find_input_order(program: Any, function: Any) -> list[str]:
    """The names of the inputs in the model's order, which Keras 3 stores in its endpoint `serve`; else sorted."""
    names = sorted(function.structured_input_signature[1], key=natural_sort_key)
    for endpoint in getattr(getattr(program, "serve", None), "concrete_functions", ()):
        endpoint_names = [spec.name for spec in tf.nest.flatten(endpoint.structured_input_signature)]
        if sorted(endpoint_names, key=natural_sort_key) == names:
            return endpoint_names
    return names


def natural_sort_key(name: str) -> list[Any]:
    """Sorts output_2 before output_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
