"""Arrays of a `.npz` file, or of `.npy` files in a folder: `x_train`, `y_train`, `x_test`, `y_test`, or `x` and `y`.

Several inputs are `x_train_0`, `x_train_1`, … or, by names, `x_train.left`, `x_train.right`: in the order of the file.
"""

import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from images.keras.data.readers.npy import BROKEN, Member, header, rows
from images.keras.data.sample_sets import ALL, TEST, TRAIN, Asked, Found, Sample, Sets, root, shown, visible
from shared.data.samples import Array
from shared.errors import CrossquantError

NAME = re.compile(r"(?P<what>[xy])(?:_(?P<split>train|test))?(?:_(?P<number>\d+)|\.(?P<name>.+))?")
RATIO, SMALL = 200, 1 << 26  # a member that is larger than SMALL and unpacks to more than RATIO times: a bomb


def read(files: Path, _: Asked) -> Sets:
    top = root(files)
    archives = [path for path in visible(top) if path.suffix == ".npz"]
    if len(archives) > 1:
        raise CrossquantError(f"{shown(archives[0].name)} and {shown(archives[1].name)}: give one .npz file")
    members = unpacked(archives[0]) if archives else loose(top)
    sets = by_split(members)
    if not sets:
        names = ", ".join(shown(member.name) for member in members) or "nothing"
        raise CrossquantError(
            f"the arrays must be called x_train, y_train, x_test, y_test, or x and y; there are: {names}"
        )
    inputs = {split: [key for key in found if key != "y"] for split, found in sets.items()}
    order = next(iter(inputs.values()))
    for split, keys in inputs.items():
        if set(keys) != set(order):
            raise CrossquantError(f"x_{split} has the inputs {shown(keys)}, x_{next(iter(inputs))} has {shown(order)}")
    return {split: of_split([found[key] for key in order], found.get("y")) for split, found in sets.items()}


def unpacked(path: Path) -> list[Member]:
    try:
        archive = zipfile.ZipFile(path)  # it stays open for as long as its members are read
    except BROKEN as error:
        raise CrossquantError(f"{shown(path.name)} is no .npz archive, or is cut short: {shown(error)}") from None
    entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
    if sum(entry.compress_size for entry in entries) > path.stat().st_size:
        raise CrossquantError(f"{shown(path.name)} has overlapping members: that is no .npz of NumPy's")
    for entry in entries:
        if entry.file_size > max(SMALL, RATIO * entry.compress_size):
            times = entry.file_size // max(1, entry.compress_size)
            raise CrossquantError(
                f"{shown(path.name)}: {shown(entry.filename)} unpacks to {times} times its size, which looks like a "
                f"zip bomb: if it is none, save it with np.savez, without compression"
            )
    return [
        Member(entry.filename.removesuffix(".npy"), partial(archive.open, entry), entry.file_size) for entry in entries
    ]


def loose(top: Path) -> list[Member]:
    paths = [path for path in visible(top) if path.suffix == ".npy"]
    return [Member(path.stem, partial(open_binary, path), path.stat().st_size) for path in paths]


def open_binary(path: Path) -> IO[bytes]:
    return path.open("rb")


def by_split(members: list[Member]) -> dict[str, dict[str, Member]]:
    """The members of each set, inputs by number or name, in order, labels as `y`."""
    sets: dict[str, dict[str, Member]] = {}
    for member in members:
        match = NAME.fullmatch(member.name)
        if match:
            key = "y" if match["what"] == "y" else match["number"] or match["name"] or "0"
            found = sets.setdefault(match["split"] or ALL, {})
            if key in found:
                raise CrossquantError(f"there are two arrays for {shown(member.name)}: leave one out")
            found[key] = member
    sets = {split: in_order(found) for split, found in sets.items() if set(found) - {"y"}}
    return {split: sets[split] for split in (TRAIN, TEST) if split in sets} or sets


def in_order(found: dict[str, Member]) -> dict[str, Member]:
    """Numbered inputs by number; named ones as they are."""
    inputs = [key for key in found if key != "y"]
    if all(key.isdigit() for key in inputs):
        inputs.sort(key=int)
    return {key: found[key] for key in (*inputs, "y") if key in found}


def of_split(inputs: list[Member], labels: Member | None) -> Found:
    columns = inputs + ([labels] if labels else [])
    lengths = [header(column).shape[0] for column in columns]
    first = shown(inputs[0].name)
    for column, length in zip(columns, lengths, strict=True):
        if length != lengths[0]:
            raise CrossquantError(
                f"{first} has {lengths[0]} samples, {shown(column.name)} has {length}: mend one of them"
            )
    return Found(together(inputs, labels), lambda number: f"{first}[{number}]")


def together(inputs: list[Member], labels: Member | None) -> Iterator[Sample]:
    streams = [rows(member) for member in inputs]
    answers = rows(labels) if labels else None
    for arrays in zip(*streams, strict=True):
        yield arrays, None if answers is None else plain(next(answers))


def plain(label: Array) -> object:
    return label.item() if label.ndim == 0 else label
