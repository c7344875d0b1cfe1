"""Samples from the user's own Python file, which has one function: `samples(split)`.

It runs here, in this stage of this container, and nowhere else.
"""

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from images.keras.data.sample_sets import TEST, TRAIN, Asked, Found, Sample, Sets, root, shown, visible
from shared.errors import CrossquantError

FUNCTION, USUAL = "samples", "load_data.py"
END = object()


def read(files: Path, asked: Asked) -> Sets:
    """Both splits are asked for; one that yields nothing isn't there."""
    script = find(root(files), asked.script)
    with at_home(script), explained(script):
        function = load(script)
    return {split: found(function, script, split) for split in (TRAIN, TEST)}


def found(function: Callable[[str], Any], script: Path, split: str) -> Found:
    return Found(checked(function, script, split), lambda number: f"sample {number} of {FUNCTION}('{split}')")


def find(folder: Path, name: str) -> Path:
    scripts = {path.name: path for path in visible(folder) if path.suffix == ".py"}
    if name in scripts or (not name and len(scripts) == 1):
        return scripts[name or next(iter(scripts))]
    if not name and USUAL in scripts:
        return scripts[USUAL]
    known = ", ".join(map(shown, scripts)) or "none"
    raise CrossquantError(f"data.script must name the Python file with {FUNCTION}(split); there are: {known}")


def load(script: Path) -> Callable[[str], Any]:
    spec = importlib.util.spec_from_file_location("crossquant_user_data", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, FUNCTION, None)
    if not callable(function):
        raise CrossquantError(f"{shown(script.name)} has no function {FUNCTION}(split): add it")
    return function  # type: ignore[no-any-return]


def checked(function: Callable[[str], Any], script: Path, split: str) -> Iterator[Sample]:
    """What the function yields, one by one, its errors told in one line."""
    with at_home(script):
        with explained(script):
            made = iter(function(split))
        number = 0
        while True:
            with explained(script):
                item = next(made, END)
            if item is END:
                return
            yield sample(item, f"sample {number} of {FUNCTION}('{split}')")
            number += 1


def sample(item: Any, where: str) -> Sample:
    if not isinstance(item, tuple) or len(item) != 2:
        raise CrossquantError(f"{where} must be a pair (inputs, label), the label None where there is none")
    inputs, label = item
    arrays = tuple(np.asarray(value) for value in (inputs if isinstance(inputs, tuple) else (inputs,)))
    if label is not None and not isinstance(label, str):
        label = np.asarray(label)
        label = label.item() if label.ndim == 0 else label
    return arrays, label


@contextlib.contextmanager
def at_home(script: Path) -> Iterator[None]:
    """As if it had been started in its own folder, which may be read-only: no compiled files."""
    path, bytecode = list(sys.path), sys.dont_write_bytecode
    sys.path.insert(0, str(script.parent))
    sys.dont_write_bytecode = True
    try:
        with contextlib.chdir(script.parent):
            yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, bytecode


@contextlib.contextmanager
def explained(script: Path) -> Iterator[None]:
    """One line with the place in the user's file for whatever happens there; all of it is in the stage's log."""
    try:
        yield
    except CrossquantError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        traceback.print_exc()
        raise CrossquantError(f"{place(error, script)}: {said(error)}") from error


def place(error: BaseException, script: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(script)]
    if isinstance(error, SyntaxError) and error.filename == str(script):
        lines = [error.lineno]
    return f"{shown(script.name)}, line {lines[-1]}" if lines else shown(script.name)


def said(error: BaseException) -> str:
    first = str(error).strip().splitlines()[:1]
    return shown(": ".join([type(error).__name__, *first]))[:300]
