"""Samples from the user's own Python file, which has one function: `samples(split)`.

The file runs in this stage of this container, and nowhere else.
"""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from images.keras import user_code
from images.keras.data.sample_sets import (
    TEST,
    TRAIN,
    OutputLabels,
    ReaderOptions,
    Sample,
    SampleSet,
    SampleSets,
    find_root,
    list_entries,
    printable_name,
)
from shared.errors import CrossquantError

FUNCTION, DEFAULT_NAME = "samples", "load_data.py"
MODULE = "crossquant_user_data"
END = object()


def read(files: Path, options: ReaderOptions) -> SampleSets:
    """Both sets, as the function yields them; it is called for each, and may yield nothing for one of them."""
    script = find_script(find_root(files), options.script)
    with in_folder_of(script), errors_in_one_line(script):
        function = load_function(script)
    inputs, labels = NameOrder("inputs"), NameOrder("labels")
    return {split: make_set(function, script, split, inputs, labels) for split in (TRAIN, TEST)}


@dataclass
class NameOrder:
    """The names of the inputs, or of the labels: the keys of the first sample's dict, none where that is no dict."""

    kind: str
    names: list[str] = field(default_factory=list)
    known: bool = False

    def sort(self, given: Any, where: str) -> tuple[Any, ...]:
        """Those of one sample in the order of the first one's. CrossquantError where their names are others."""
        values = {str(name): value for name, value in given.items()} if isinstance(given, dict) else {}
        if not self.known:
            self.names[:], self.known = values, True
        if set(values) != set(self.names):
            raise CrossquantError(
                f"{where} has {self.describe(values)}, the first sample has {self.describe(self.names)}: "
                "yield the same for each"
            )
        if values:
            return tuple(values[name] for name in self.names)
        return given if isinstance(given, tuple) else (given,)

    def describe(self, names: Iterable[str]) -> str:
        return f"the {self.kind} {printable_name(', '.join(names))}" if any(names) else f"{self.kind} without names"


def make_set(
    function: Callable[[str], Any], script: Path, split: str, inputs: NameOrder, labels: NameOrder
) -> SampleSet:
    return SampleSet(
        iterate_samples(function, script, split, inputs, labels),
        lambda number: f"sample {number} of {FUNCTION}('{split}')",
        inputs=inputs.names,
        labels=labels.names,
    )


def find_script(folder: Path, name: str) -> Path:
    """The Python file called `name`, or the only one, or DEFAULT_NAME. CrossquantError where there is none of them."""
    scripts = {path.name: path for path in list_entries(folder) if path.suffix == ".py"}
    if name in scripts or (not name and len(scripts) == 1):
        return scripts[name or next(iter(scripts))]
    if not name and DEFAULT_NAME in scripts:
        return scripts[DEFAULT_NAME]
    names = ", ".join(map(printable_name, scripts)) or "none"
    raise CrossquantError(f"data.script must name the Python file with {FUNCTION}(split); there are: {names}")


def load_function(script: Path) -> Callable[[str], Any]:
    function = getattr(user_code.import_file(script, MODULE), FUNCTION, None)
    if not callable(function):
        raise CrossquantError(f"{printable_name(script.name)} has no function {FUNCTION}(split): add it")
    return function  # type: ignore[no-any-return]


def iterate_samples(
    function: Callable[[str], Any], script: Path, split: str, inputs: NameOrder, labels: NameOrder
) -> Iterator[Sample]:
    """The samples that the function yields, one by one; CrossquantError in one line for what it raises."""
    with in_folder_of(script):
        with errors_in_one_line(script):
            items = iter(function(split))
        number = 0
        while True:
            with errors_in_one_line(script):
                item = next(items, END)
            if item is END:
                return
            yield convert_sample(item, f"sample {number} of {FUNCTION}('{split}')", inputs, labels)
            number += 1


def convert_sample(item: Any, where: str, names: NameOrder, label_names: NameOrder) -> Sample:
    """What the function yields, as arrays, a label and a group. CrossquantError for what is no such tuple."""
    if not isinstance(item, tuple) or len(item) not in (2, 3):
        raise CrossquantError(
            f"{where} must be a pair (inputs, label), the label None where there is none, or (inputs, label, group)"
        )
    inputs, label, group = item if len(item) == 3 else (*item, None)
    arrays = tuple(np.asarray(value) for value in names.sort(inputs, where))
    if label is None:
        return Sample(arrays, None, group)
    if not isinstance(label, dict):
        return Sample(arrays, convert_label(label), group)
    labels = OutputLabels(map(convert_label, label_names.sort(label, where)))
    return Sample(arrays, labels if len(labels) > 1 else labels[0], group)


def convert_label(label: Any) -> Any:
    """A number or text as it is, and all else as an array."""
    if isinstance(label, str):
        return label
    try:
        array = np.asarray(label)
    except ValueError:
        return label  # rows of different lengths: whoever takes the labels says what they must be
    return array.item() if array.ndim == 0 else array


@contextlib.contextmanager
def in_folder_of(script: Path) -> Iterator[None]:
    """Run as if Python had been started in the script's folder, without compiled files: it may be read-only."""
    path = list(sys.path)
    sys.path.insert(0, str(script.parent))
    try:
        with user_code.no_bytecode(), contextlib.chdir(script.parent):
            yield
    finally:
        sys.path[:] = path


@contextlib.contextmanager
def errors_in_one_line(script: Path) -> Iterator[None]:
    """CrossquantError with the line of the user's file for an error there; the traceback goes to the stage's log."""
    try:
        yield
    except CrossquantError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        traceback.print_exc()
        raise CrossquantError(printable_name(user_code.explain_error(error, script))) from error
