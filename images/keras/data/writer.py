"""The samples of the user's data onto the disk, one by one, each preprocessed and checked as it comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from images.keras import sampling
from images.keras.data.arrays import Growing
from images.keras.data.preprocessing import Preprocessing
from images.keras.data.sample_sets import ALL, TEST, TRAIN, Found, Label
from shared.data import leakage, samples
from shared.data.samples import Array
from shared.errors import CrossquantError
from shared.runner.progress import report


@dataclass(frozen=True)
class Written:
    """What is on the disk of one set, and its labels."""

    split: str
    labels: list[Label]


def write(out: Path, split: str, found: Found, done: Preprocessing, apply_to: Sequence[int]) -> Written:
    """All samples of one set, each preprocessed as it comes."""
    files: list[Growing] = []
    labels: list[Label] = []
    digests: list[bytes] = []
    try:
        for number, (inputs, label) in enumerate(found.samples):
            where = found.where(number)
            kept = [stored(done(x, where) if i in apply_to else x, where) for i, x in enumerate(inputs)]
            if not number:
                files = [Growing(out / f"x_{split}_{position}.npy", array) for position, array in enumerate(kept)]
            check_like(files, kept, where)
            for file, array in zip(files, kept, strict=True):
                file.add(array[None])
            labels.append(label)
            digests.append(leakage.of_sample(kept))
            report(number + 1, number + 1)
    finally:
        for file in files:
            file.close()
    np.save(out / leakage.file(split), leakage.as_array(digests))
    return Written(split, labels)


def stored(array: Array, where: str) -> Array:
    """Bytes and whole numbers as they are, others as float32. CrossquantError for what is no finite number."""
    if array.dtype.kind not in "biuf":
        raise CrossquantError(f"{where} is of type {array.dtype}: an input must be an array of numbers")
    if array.dtype.kind != "f":
        return array.view(np.uint8) if array.dtype.kind == "b" else array
    if not np.isfinite(array).all():
        raise CrossquantError(f"{where} has NaN or infinity: mend it or leave it out")
    return array.astype(np.float32, copy=False)


def check_like(files: list[Growing], kept: list[Array], where: str) -> None:
    """CrossquantError for a sample that has not the inputs, shapes and types of the first."""
    there, found = [(file.shape, file.dtype) for file in files], [(array.shape, array.dtype) for array in kept]
    if there == found:
        return
    for position, (wanted, got) in enumerate(zip(there, found, strict=False)):
        if wanted[0] != got[0]:
            hint = "; set data.resize" if len(got[0]) == 3 else ""
            raise CrossquantError(
                f"{where}: input {position} has the shape {got[0]}, the first one's {wanted[0]}{hint}"
            )
        if wanted[1] != got[1]:
            raise CrossquantError(f"{where}: input {position} is {got[1]}, the first one's {wanted[1]}")
    raise CrossquantError(f"{where} has {len(found)} inputs, the first one {len(there)}")


def keep(written: dict[str, Written], out: Path) -> dict[str, Written]:
    """The sets that have samples; a single one as ALL, whatever its name, since a test set may not calibrate."""
    there = {split: one for split, one in written.items() if one.labels}
    if not there:
        raise CrossquantError("the data set has no samples")
    if set(there) == {TRAIN, TEST}:
        check_sets(out)
        return there
    for split in written.keys() - there.keys():
        (out / leakage.file(split)).unlink()
    only = next(iter(there))
    for path in (*sampling.arrays(out, only), out / leakage.file(only)):
        path.rename(out / path.name.replace(f"_{only}", f"_{ALL}"))
    return {ALL: there[only]}


def check_sets(out: Path) -> None:
    shapes = {split: [samples.mapped(path)[:0] for path in sampling.arrays(out, split)] for split in (TRAIN, TEST)}
    train, test = ([(array.shape[1:], str(array.dtype)) for array in shapes[split]] for split in (TRAIN, TEST))
    if train != test:
        raise CrossquantError(f"the training set has inputs of {train}, the test set of {test}: they must be alike")
