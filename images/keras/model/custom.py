"""The user's own layers and functions: a Python file beside the model, imported where the model is loaded."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from shared.errors import CrossquantError

FILE = "custom_objects.py"
MODULE = "crossquant_custom_objects"


def objects(folder: Path) -> dict[str, Any]:
    """What FILE in `folder` defines, by name; none where there is no such file.

    Its dict `custom_objects` if it has one, else its own classes and functions. What it registers with
    `keras.saving.register_keras_serializable` counts as well, by Keras's own means.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    module = imported(path)
    given = getattr(module, "custom_objects", None)
    if given is not None and not isinstance(given, dict):
        raise CrossquantError(f"{FILE}: custom_objects must be a dict of names and objects")
    return dict(given) if given is not None else defined(module)


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise CrossquantError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses and pickling look a class's module up
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a sealed folder takes no __pycache__
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's code raises is the user's to mend
        raise CrossquantError(explain(error, path)) from error
    finally:
        sys.dont_write_bytecode = written
    return module


def defined(module: ModuleType) -> dict[str, Any]:
    """The module's own classes and functions; what it only imports is left out."""
    return {
        name: item
        for name, item in vars(module).items()
        if callable(item) and getattr(item, "__module__", "") == module.__name__ and not name.startswith("_")
    }


def explain(error: BaseException, path: Path) -> str:
    """One line: the error, and the line of the user's file that led to it."""
    first = (str(error).strip().splitlines() or [""])[0][:200]
    text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    line = line_of(error, path)
    return f"{path.name}, line {line}: {text}" if line else f"{path.name}: {text}"


def line_of(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
