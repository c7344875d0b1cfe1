"""Writes the samples of the user's data to disk, one by one, each preprocessed and checked as it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from images.keras import sampling
from images.keras.data.arrays import NpyWriter
from images.keras.data.preprocessing import Preprocessing
from images.keras.data.sample_sets import ALL, TEST, TRAIN, Label, SampleSet
from shared.data import leakage, samples
from shared.data.samples import Array
from shared.errors import CrossquantError
from shared.runner.progress import report


@dataclass(frozen=True)
class WrittenSet:
    """A set whose inputs are on disk: its name in the user's data, its labels, and what its samples are grouped by."""

    split: str
    labels: list[Label]
    groups: list[Any] = field(default_factory=list)


def write_set(
    out: Path, split: str, sample_set: SampleSet, preprocessing: Preprocessing, apply_to: Sequence[int]
) -> WrittenSet:
    """Write `x_SPLIT_0.npy` … and the digests of the samples; only the inputs `apply_to` are preprocessed.

    CrossquantError, with the place of the sample, for one that is unlike the first one, or that isn't finite.
    """
    files: list[NpyWriter] = []
    labels: list[Label] = []
    groups: list[Any] = []
    digests: list[bytes] = []
    try:
        for number, (inputs, label, group) in enumerate(sample_set.samples):
            where = sample_set.locate(number)
            arrays = [
                to_stored_type(preprocessing(array, where) if position in apply_to else array, where)
                for position, array in enumerate(inputs)
            ]
            if not number:
                files = [NpyWriter(out / f"x_{split}_{position}.npy", array) for position, array in enumerate(arrays)]
            check_like_first(files, arrays, where)
            for file, array in zip(files, arrays, strict=True):
                file.append(array[None])
            labels.append(label)
            groups.append(group)
            digests.append(leakage.digest_sample(arrays))
            report(number + 1, number + 1)
    finally:
        for file in files:
            file.close()
    np.save(out / leakage.file(split), leakage.as_array(digests))
    return WrittenSet(split, labels, groups)


def to_stored_type(array: Array, where: str) -> Array:
    """Integers as they are, booleans as uint8, floats as float32. CrossquantError for other types, NaN and infinity."""
    if array.dtype.kind not in "biuf":
        raise CrossquantError(f"{where} is of type {array.dtype}: an input must be an array of numbers")
    if array.dtype.kind != "f":
        return array.view(np.uint8) if array.dtype.kind == "b" else array
    if not np.isfinite(array).all():
        raise CrossquantError(f"{where} has NaN or infinity: fix it or leave it out")
    return array.astype(np.float32, copy=False)


def check_like_first(files: list[NpyWriter], arrays: list[Array], where: str) -> None:
    """CrossquantError for a sample with other inputs, shapes or types than those of the first sample."""
    first = [(file.shape, file.dtype) for file in files]
    current = [(array.shape, array.dtype) for array in arrays]
    if first == current:
        return
    for position, ((shape, dtype), (new_shape, new_dtype)) in enumerate(zip(first, current, strict=False)):
        if shape != new_shape:
            hint = "; set data.resize" if len(new_shape) == 3 else ""
            raise CrossquantError(f"{where}: input {position} has the shape {new_shape}, the first one's {shape}{hint}")
        if dtype != new_dtype:
            raise CrossquantError(f"{where}: input {position} is {new_dtype}, the first one's {dtype}")
    raise CrossquantError(f"{where} has {len(current)} inputs, the first one {len(first)}")


def keep_nonempty(written: dict[str, WrittenSet], out: Path) -> dict[str, WrittenSet]:
    """The sets that have samples. A single one becomes ALL and is split, since a test set must not calibrate.

    CrossquantError where there are no samples, or where training and test set have other inputs.
    """
    nonempty = {split: part for split, part in written.items() if part.labels}
    if not nonempty:
        raise CrossquantError("the data set has no samples")
    if set(nonempty) == {TRAIN, TEST}:
        check_same_inputs(out)
        return nonempty
    for split in written.keys() - nonempty.keys():
        (out / leakage.file(split)).unlink()
    only = next(iter(nonempty))
    for path in (*sampling.array_paths(out, only), out / leakage.file(only)):
        path.rename(out / path.name.replace(f"_{only}", f"_{ALL}"))
    return {ALL: nonempty[only]}


def check_same_inputs(out: Path) -> None:
    """CrossquantError where the inputs of training and test set differ in number, shape or type."""
    arrays = {split: map(samples.mapped, sampling.array_paths(out, split)) for split in (TRAIN, TEST)}
    train, test = ([(array.shape[1:], str(array.dtype)) for array in arrays[split]] for split in (TRAIN, TEST))
    if train != test:
        raise CrossquantError(f"the training set has inputs of {train}, the test set of {test}: they must be alike")
