"""The user's own Python files: a module with layers and functions, or one with samples."""

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from shared.errors import CrossquantError


def import_file(path: Path, name: str) -> ModuleType:
    """Import the Python file at `path` as the module `name`, and write no compiled file beside it.

    What the file raises is passed on: `explain_error` makes a line of it.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CrossquantError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look up the module of a class
    with no_bytecode():
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def no_bytecode() -> Iterator[None]:
    """Have Python write no `__pycache__`: the folder of the user's file may be read-only, or complete."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def explain_error(error: BaseException, path: Path) -> str:
    """One line: the user's file, the line of it that led to the error, the error's type and its first line."""
    line = error_line(error, path)
    first = str(error).strip().splitlines()[:1]
    message = ": ".join([type(error).__name__, *first])[:300]
    return f"{path.name}, line {line}: {message}" if line else f"{path.name}: {message}"


def error_line(error: BaseException, path: Path) -> int | None:
    """The line of the file at `path` that raised the error, or that called what raised it; None where no line did."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
