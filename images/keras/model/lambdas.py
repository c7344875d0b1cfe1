"""Lambda layers whose code is in the file: bytecode, which no other version of Python can read.

A function of the user's own file that has the layer's name takes the place of the code.
"""

from collections.abc import Collection, Iterator
from typing import Any

from keras.src.utils import python_utils

from images.keras.safety.configuration import is_code
from shared.errors import CrossquantError
from shared.text import printable

LAMBDA = "Lambda"
UNREADABLE = (EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError)  # what the reader of it raises


def replace_code(config: Any, functions: Collection[str]) -> Any:
    """A copy of a model's configuration in which Lambda layers call the user's functions of the layers' names.

    `functions` are the names that the user's file defines. Layers without a function there keep their code.
    """
    if isinstance(config, list):
        return [replace_code(item, functions) for item in config]
    if not isinstance(config, dict):
        return config
    copied = {key: replace_code(item, functions) for key, item in config.items()}
    inner = copied.get("config")
    if copied.get("class_name") == LAMBDA and isinstance(inner, dict) and is_code(inner):
        name = inner.get("name")
        if isinstance(name, str) and name in functions:
            function = {"module": None, "class_name": "function", "config": name, "registered_name": name}
            copied["config"] = {**inner, "function": function, "output_shape": None}
    return copied


def check_code(config: Any, file_name: str) -> None:
    """CrossquantError for a Lambda layer whose code this version of Python can't read. The code isn't run."""
    for layer in find_code(config):
        function = layer["function"]
        code = function["config"]["code"] if isinstance(function, dict) else function[0]
        try:
            python_utils.func_load(code, globs={})
        except UNREADABLE:
            name = printable(str(layer.get("name")), 100)
            raise CrossquantError(
                f"{file_name}: layer '{name}' holds code that another version of Python wrote, which can't be read: "
                f"define a function {name} in the file of --code"
            ) from None


def find_code(config: Any) -> Iterator[dict[str, Any]]:
    """The settings of each Lambda layer that holds code, however deep."""
    if isinstance(config, dict) and config.get("class_name") == LAMBDA and is_code(config.get("config")):
        yield config["config"]
    for item in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from find_code(item)
