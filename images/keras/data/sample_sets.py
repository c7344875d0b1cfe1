"""What a reader of the user's data finds: sets of samples, each read once, one sample at a time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.data.samples import Array
from shared.errors import CrossquantError

TRAIN, TEST, ALL = "train", "test", "all"

Label = Any  # None, a number, a text, or an array of numbers
Sample = tuple[tuple[Array, ...], Label]  # an array for each input of the model, without a first axis


@dataclass(frozen=True)
class Found:
    """One set of samples. `where` says, for a person, where the sample of a number comes from.

    `classes`: the names of the classes or, of a multi-label task, of the labels, if the data has some. `textual`:
    labels are as they stand in a text file, so that numbers among them are still to be recognized.
    """

    samples: Iterable[Sample]
    where: Callable[[int], str]
    classes: tuple[str, ...] = ()
    textual: bool = False


Sets = dict[str, Found]  # TRAIN and TEST, or one of any name, which is then to be split


@dataclass(frozen=True)
class Asked:
    """What the experiment says to readers: columns of a table, and the Python file."""

    labels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    script: str = ""


def shown(text: object) -> str:
    """A name from the user's files in one line that any terminal can print."""
    plain = "".join(char if char.isprintable() else "?" for char in str(text))
    return plain.encode(errors="replace").decode()


def visible(folder: Path) -> list[Path]:
    """What lies in `folder`, by name; without what file managers leave there."""
    litter = ("Thumbs.db", "desktop.ini", "__MACOSX")
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in litter)


def root(files: Path) -> Path:
    """Where the data begins: below the folders that hold nothing but one other."""
    found = visible(files)
    while len(found) == 1 and found[0].is_dir():
        files, found = found[0], visible(found[0])
    if not found:
        raise CrossquantError(f"the data set is empty: {shown(files)} holds no file")
    return files
