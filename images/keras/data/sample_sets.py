"""What a reader of the user's data returns: sets of samples, each read once, one sample at a time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from shared.data.samples import Array
from shared.errors import CrossquantError

TRAIN, TEST, ALL = "train", "test", "all"

Label = Any  # None, a number, a text, or an array of numbers


class OutputLabels(tuple[Label, ...]):
    """The labels of a sample for several outputs of the model: one for each."""


class Sample(NamedTuple):
    """An array for each input of the model, without a batch axis; the label; and what the sample is grouped by.

    The label is OutputLabels where several outputs of the model have one. `group` is a number or a text that samples
    have in common which are not independent; None where they all are.
    """

    inputs: tuple[Array, ...]
    label: Label
    group: Any = None


@dataclass(frozen=True)
class SampleSet:
    """One set of samples. `locate` names the place of a sample, by its number, for a message.

    `classes`: the names of the classes or, of a multi-label task, of the labels, if the data has some. `textual`:
    labels are the texts of a text file, which may stand for numbers. `inputs` and `labels`: the names of the arrays of
    samples, and of those of labels, if they have some; they may be complete only when the samples are read. `outputs`:
    the numbers of the model's outputs that the labels are for, where the data has numbers.
    """

    samples: Iterable[Sample]
    locate: Callable[[int], str]
    classes: tuple[str, ...] = ()
    textual: bool = False
    inputs: Sequence[str] = ()
    labels: Sequence[str] = ()
    outputs: Sequence[int] = ()


SampleSets = dict[str, SampleSet]  # TRAIN and TEST, or one of any name, which is then to be split


@dataclass(frozen=True)
class ReaderOptions:
    """What the experiment says to readers: columns and form of a table, the name of the Python file, and what groups
    samples: the name of a column, or a regular expression for the names of pictures.
    """

    labels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    script: str = ""
    header: bool = True
    encoding: str = "utf-8"
    group: str = ""


def printable_name(text: object) -> str:
    """A name from the user's files in one line that any terminal can print.

    Each character that can't be printed becomes "?", so that a person sees where the name has one.
    """
    plain = "".join(char if char.isprintable() else "?" for char in str(text))
    return plain.encode(errors="replace").decode()


def list_entries(folder: Path) -> list[Path]:
    """The files and folders in `folder`, sorted by name, without hidden ones and those that file managers leave."""
    ignored = ("Thumbs.db", "desktop.ini", "__MACOSX")
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in ignored)


def find_root(files: Path) -> Path:
    """The folder where the data begins: below all folders that hold nothing but one other. CrossquantError if empty."""
    entries = list_entries(files)
    while len(entries) == 1 and entries[0].is_dir():
        files, entries = entries[0], list_entries(entries[0])
    if not entries:
        raise CrossquantError(f"the data set is empty: folder '{printable_name(files.name)}' holds no file")
    return files
