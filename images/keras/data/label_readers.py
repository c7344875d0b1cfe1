"""From labels as the user has them to those of a task, each checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from images.keras.data.sample_sets import TEST, Label, shown
from shared.data.samples import Array
from shared.errors import CrossquantError

AUTO = "auto"
CLASSIFICATION, MULTILABEL, REGRESSION = "classification", "multilabel", "regression"
RECONSTRUCTION, FIDELITY = "reconstruction", "fidelity"


@dataclass(frozen=True)
class Given:
    """The labels of one set, in order, and where each comes from."""

    values: Sequence[Label]
    where: Callable[[int], str]
    textual: bool = False


@dataclass(frozen=True)
class Labels:
    """Arrays by set; None for a set that has none."""

    task: str
    classes: tuple[str, ...]
    arrays: dict[str, Array | None]


def resolve(task: str, sets: dict[str, Given], classes: tuple[str, ...]) -> Labels:
    """The task, if it is `auto`, and the labels as it takes them. `classes` may be empty: then texts name them."""
    arrays = {name: as_array(given) for name, given in sets.items()}
    if task == FIDELITY or all(array is None for array in arrays.values()):
        return without(task, classes, arrays)
    texts = [array for array in arrays.values() if array is not None and array.dtype.kind == "U"]
    if texts:
        classes = classes or tuple(np.unique(np.concatenate([array.ravel() for array in texts])).tolist())
        arrays = {name: numbered(array, classes, sets[name]) for name, array in arrays.items()}
    task = fitting(arrays) if task == AUTO else task
    check_missing(task, arrays)
    found = {
        name: None if array is None else checked(task, array, classes, sets[name]) for name, array in arrays.items()
    }
    return Labels(task, classes, found)


def check_missing(task: str, arrays: dict[str, Array | None]) -> None:
    """Only an autoencoder may be trained on samples without labels, and be judged by those with."""
    for name, array in arrays.items():
        if array is None and (task != RECONSTRUCTION or name == TEST):
            raise CrossquantError(f"the {name} set has no labels, the other has: give both, or say data.task: fidelity")


def without(task: str, classes: tuple[str, ...], arrays: dict[str, Array | None]) -> Labels:
    if task not in (AUTO, FIDELITY, RECONSTRUCTION):
        raise CrossquantError(f"data.task is {task}, and the data has no labels: give them, or say fidelity")
    return Labels(FIDELITY if task == AUTO else task, classes, dict.fromkeys(arrays))


def as_array(given: Given) -> Array | None:
    """None where there are no labels at all."""
    values = given.values
    missing = [number for number, value in enumerate(values) if value is None or (isinstance(value, str) and not value)]
    if len(missing) == len(values):
        return None
    if missing:
        raise CrossquantError(f"{given.where(missing[0])} has no label, others have one")
    shape = np.shape(values[0])
    for number, value in enumerate(values):
        if np.shape(value) != shape or isinstance(value, str) != isinstance(values[0], str):
            raise CrossquantError(f"{given.where(number)}: its label {shown(value)[:80]} is unlike the first one's")
    array = np.array(values)
    if given.textual and array.dtype.kind == "U":
        array = recognized(array)
    if array.dtype.kind not in "biufU":
        raise CrossquantError(f"{given.where(0)}: its label is of type {array.dtype}: give numbers or texts")
    return array


def recognized(array: Array) -> Array:
    """Texts that are all whole numbers, or all numbers, as such."""
    for kind in (np.int64, np.float64):
        try:
            return array.astype(kind)
        except ValueError:
            continue
    return array


def numbered(array: Array | None, classes: tuple[str, ...], given: Given) -> Array | None:
    """The number of each text among the classes; other labels stay."""
    if array is None:
        return None
    numbers = {name: number for number, name in enumerate(classes)}
    flat = [str(value) for value in array.ravel().tolist()]
    for position, value in enumerate(flat):
        if value not in numbers:
            place = given.where(position // max(1, array[0].size))
            raise CrossquantError(f"{place}: its label '{shown(value)[:80]}' is none of the {len(classes)} classes")
    return np.array([numbers[value] for value in flat]).reshape(array.shape)


def fitting(arrays: dict[str, Array | None]) -> str:
    """The task that labels of such a shape and type are of."""
    known = [array for array in arrays.values() if array is not None]
    if any(array[0].size > 1 for array in known):
        if all(is_binary(array) for array in known):
            return CLASSIFICATION if all(is_one_hot(array) for array in known) else MULTILABEL
        return REGRESSION
    return REGRESSION if any(array.dtype.kind == "f" for array in known) else CLASSIFICATION


def is_binary(array: Array) -> bool:
    return bool(np.isin(array, (0, 1)).all())


def is_one_hot(array: Array) -> bool:
    return array.ndim == 2 and array.shape[1] > 1 and is_binary(array) and bool((array.sum(axis=1) == 1).all())


def checked(task: str, array: Array, classes: tuple[str, ...], given: Given) -> Array:
    if array.ndim > 2:
        raise CrossquantError(f"labels of the shape {array.shape[1:]} a sample are judged by no task: say fidelity")
    if task == CLASSIFICATION:
        single = array.argmax(axis=1) if is_one_hot(array) else array.reshape(len(array), -1)
        return class_numbers(single, classes, given)
    if task == MULTILABEL:
        return zeros_and_ones(np.atleast_2d(array.T).T, given, len(classes))
    if task == RECONSTRUCTION:
        return zeros_and_ones(array.reshape(len(array), -1), given, 1)[:, 0]
    values = array.reshape(len(array), -1).astype(np.float32)
    refuse(~np.isfinite(values).all(axis=1), values, given, "is not finite")
    return values


def class_numbers(array: Array, classes: tuple[str, ...], given: Given) -> Array:
    """(n,), of the smallest type that holds them."""
    array = array.reshape(len(array), -1)
    if array.shape[1] != 1:
        raise CrossquantError(f"{given.where(0)}: classification takes one class a sample, not {array.shape[1]} values")
    column = array[:, 0]
    refuse(column != np.floor(column), column, given, "is no number of a class")
    refuse(column < 0, column, given, "is out of range: classes are counted from 0")
    if classes:
        refuse(column >= len(classes), column, given, f"is out of range: there are {len(classes)} classes, from 0")
    return column.astype(np.min_scalar_type(int(column.max())))


def zeros_and_ones(array: Array, given: Given, columns: int) -> Array:
    if columns and array.shape[1] != columns:
        raise CrossquantError(f"{given.where(0)}: there are {array.shape[1]} labels a sample, {columns} are expected")
    refuse(~np.isin(array, (0, 1)).all(axis=1), array, given, "is neither 0 nor 1")
    return array.astype(np.uint8)


def refuse(wrong: Array | np.bool, values: Any, given: Given, why: str) -> None:
    """CrossquantError for the first label that is `wrong`, (n,) bool."""
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise CrossquantError(f"{given.where(first)}: its label {shown(values[first])} {why}")
