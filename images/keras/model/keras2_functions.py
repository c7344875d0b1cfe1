"""Functions that Keras 3 computes otherwise than Keras 2 by the same name."""

from typing import Any

import keras

ACTIVATIONS = ("activation", "recurrent_activation")  # the settings of a layer that name one


def hard_sigmoid(x: Any) -> Any:
    """0.2 x + 0.5, from 0 to 1. Keras 3's rises by 1/6. In Keras 2 it is the default of gates."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


keras.saving.register_keras_serializable(package="crossquant", name="keras2_hard_sigmoid")(hard_sigmoid)
FUNCTIONS = {"hard_sigmoid": hard_sigmoid}


def stored_functions() -> dict[str, Any]:
    """The functions that a file written by this project may name, by name."""
    return {keras.saving.get_registered_name(function): function for function in FUNCTIONS.values()}


def use_keras2_functions(config: dict[str, Any]) -> None:
    """Replace the names of such functions in the settings of one layer of Keras 2, in place."""
    for key in ACTIVATIONS:
        name = config.get(key)
        if isinstance(name, str) and name in FUNCTIONS:
            registered = keras.saving.get_registered_name(FUNCTIONS[name])
            config[key] = {
                "module": "builtins",
                "class_name": "function",
                "config": registered,
                "registered_name": registered,
            }
