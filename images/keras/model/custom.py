"""The user's own layers and functions: a Python file beside the model, imported where the model is loaded."""

from pathlib import Path
from types import ModuleType
from typing import Any

from images.keras import user_code
from shared.errors import CrossquantError

FILE = "custom_objects.py"
MODULE = "crossquant_custom_objects"


def load_objects(folder: Path) -> dict[str, Any]:
    """The custom objects that FILE in `folder` defines, by name; none where there is no such file.

    Its dict `custom_objects` if it has one, else its own classes and functions. Keras itself finds what the file
    registers with `keras.saving.register_keras_serializable`. CrossquantError, with the line, where the file fails.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        module = user_code.import_file(path, MODULE)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise CrossquantError(user_code.explain_error(error, path)) from error
    declared = getattr(module, "custom_objects", None)
    if declared is not None and not isinstance(declared, dict):
        raise CrossquantError(f"{FILE}: custom_objects must be a dict of names and objects")
    return dict(declared) if declared is not None else defined_objects(module)


def defined_objects(module: ModuleType) -> dict[str, Any]:
    """The classes and functions that the module defines; what it only imports is left out."""
    return {
        name: item
        for name, item in vars(module).items()
        if callable(item) and getattr(item, "__module__", "") == module.__name__ and not name.startswith("_")
    }
