"""The labels of a task, from the labels as the user has them; each is checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from images.keras.data.sample_sets import TEST, Label, printable_name
from shared.data.samples import Array
from shared.errors import CrossquantError

AUTO = "auto"
CLASSIFICATION, MULTILABEL, REGRESSION = "classification", "multilabel", "regression"
RECONSTRUCTION, FIDELITY = "reconstruction", "fidelity"


@dataclass(frozen=True)
class RawLabels:
    """The labels of one set as a reader gives them, in order. `locate` names the place of a sample, by its number.

    `textual`: they are the texts of a text file, which may stand for numbers.
    """

    values: Sequence[Label]
    locate: Callable[[int], str]
    textual: bool = False


@dataclass(frozen=True)
class TaskLabels:
    """The task, the names of its classes, and an array of labels for each set; None for a set without labels."""

    task: str
    classes: tuple[str, ...]
    arrays: dict[str, Array | None]


def resolve_labels(
    task: str, sets: dict[str, RawLabels], classes: tuple[str, ...], label_offset: int = 0
) -> TaskLabels:
    """Infer the task, if it is `auto`, and convert the labels of each set to those of the task.

    `classes` are the names of the classes; where there are none, labels that are texts name them. `label_offset` is the
    number of the first class in the labels. CrossquantError, with the place of the sample, for labels that the task
    doesn't have.
    """
    arrays = {name: to_array(labels, bool(classes)) for name, labels in sets.items()}
    if task == FIDELITY or all(array is None for array in arrays.values()):
        return resolve_unlabeled(task, classes, arrays)
    texts = [array for array in arrays.values() if array is not None and array.dtype.kind == "U"]
    if texts:
        classes = classes or tuple(np.unique(np.concatenate([array.ravel() for array in texts])).tolist())
        arrays = {name: number_texts(array, classes, sets[name]) for name, array in arrays.items()}
    task = infer_task(arrays) if task == AUTO else task
    check_missing(task, arrays)
    if task == CLASSIFICATION and not texts:
        arrays = count_from_zero(arrays, label_offset)
    converted = {
        name: None if array is None else convert(task, array, classes, sets[name]) for name, array in arrays.items()
    }
    return TaskLabels(task, classes, converted)


def count_from_zero(arrays: dict[str, Array | None], label_offset: int) -> dict[str, Array | None]:
    """The labels with the first class as 0. Labels of -1 and 1, as for a hinge loss, are the classes 0 and 1."""
    values = np.unique(np.concatenate([array.ravel() for array in arrays.values() if array is not None]))
    if not label_offset and values.tolist() == [-1, 1]:
        return {name: None if array is None else (array > 0).astype(np.int64) for name, array in arrays.items()}
    return (
        {name: None if array is None else array - label_offset for name, array in arrays.items()}
        if label_offset
        else arrays
    )


def check_missing(task: str, arrays: dict[str, Array | None]) -> None:
    """CrossquantError where one set has labels and the other has none.

    An autoencoder for anomalies may be calibrated without labels, and is evaluated with them.
    """
    for name, array in arrays.items():
        if array is None and (task != RECONSTRUCTION or name == TEST):
            raise CrossquantError(f"the {name} set has no labels, the other has: give both, or say data.task: fidelity")


def resolve_unlabeled(task: str, classes: tuple[str, ...], arrays: dict[str, Array | None]) -> TaskLabels:
    """The task of data without labels, or whose labels aren't used. CrossquantError for a task that needs them."""
    if task not in (AUTO, FIDELITY, RECONSTRUCTION):
        raise CrossquantError(f"data.task is {task}, and the data has no labels: give them, or say fidelity")
    return TaskLabels(FIDELITY if task == AUTO else task, classes, dict.fromkeys(arrays))


def to_array(labels: RawLabels, named: bool) -> Array | None:
    """The labels as one array, (n, …); None where there are none at all.

    `named`: the classes have names. CrossquantError where some labels are missing, or unlike the first one.
    """
    values = labels.values
    missing = [number for number, value in enumerate(values) if value is None or (isinstance(value, str) and not value)]
    if len(missing) == len(values):
        return None
    if missing:
        raise CrossquantError(f"{labels.locate(missing[0])} has no label, others have one")
    shape = np.shape(values[0])
    for number, value in enumerate(values):
        if np.shape(value) != shape or isinstance(value, str) != isinstance(values[0], str):
            raise CrossquantError(
                f"{labels.locate(number)}: its label {printable_name(value)[:80]} is unlike the first one's"
            )
    array = np.array(values)
    if labels.textual and array.dtype.kind == "U":
        array = parse_numbers(array)
        if array.dtype.kind == "U" and not named:
            refuse_few_texts(array, labels)
    if array.dtype.kind not in "biufU":
        raise CrossquantError(f"{labels.locate(0)}: its label is of type {array.dtype}: give numbers or texts")
    return array


def parse_numbers(array: Array) -> Array:
    """The texts as integers if all are, else as floats if all are; else as they are."""
    for kind in (np.int64, np.float64):
        try:
            return array.astype(kind)
        except ValueError:
            continue
    return array


def refuse_few_texts(array: Array, labels: RawLabels) -> None:
    """CrossquantError for a text where most labels are numbers: it may stand for a value that is missing."""
    flat = array.reshape(len(array), -1)
    texts = np.array([any(not is_number(value) for value in row) for row in flat])
    if 2 * texts.sum() >= len(texts):
        return
    first = int(np.flatnonzero(texts)[0])
    value = next(value for value in flat[first] if not is_number(value))
    raise CrossquantError(
        f"{labels.locate(first)}: its label '{printable_name(value)[:80]}' is not a number, as those of most rows are: "
        "fix it or leave the row out; if labels are names of classes, list them in data.classes"
    )


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def number_texts(array: Array | None, classes: tuple[str, ...], labels: RawLabels) -> Array | None:
    """The number of each label's class, by its name. CrossquantError for a label that names no class."""
    if array is None:
        return None
    numbers = {name: number for number, name in enumerate(classes)}
    flat = [str(value) for value in array.ravel().tolist()]
    for position, value in enumerate(flat):
        if value not in numbers:
            place = labels.locate(position // max(1, array[0].size))
            raise CrossquantError(
                f"{place}: its label '{printable_name(value)[:80]}' is none of the {len(classes)} classes"
            )
    return np.array([numbers[value] for value in flat]).reshape(array.shape)


def infer_task(arrays: dict[str, Array | None]) -> str:
    """The task that labels of this shape and type belong to."""
    labels = [array for array in arrays.values() if array is not None]
    if any(array[0].size > 1 for array in labels):
        if all(is_binary(array) for array in labels):
            return CLASSIFICATION if all(is_one_hot(array) for array in labels) else MULTILABEL
        return REGRESSION
    return REGRESSION if any(array.dtype.kind == "f" for array in labels) else CLASSIFICATION


def is_binary(array: Array) -> bool:
    return bool(np.isin(array, (0, 1)).all())


def is_one_hot(array: Array) -> bool:
    return array.ndim == 2 and array.shape[1] > 1 and is_binary(array) and bool((array.sum(axis=1) == 1).all())


def convert(task: str, array: Array, classes: tuple[str, ...], labels: RawLabels) -> Array:
    """Labels in the form that the task has them: class numbers (n,), 0 and 1 (n,) or (n, k), or float32 (n, k).

    Floats of any shape are those of a regression, as the steps of a forecast; integers could be classes of positions.
    """
    if array.ndim > 2 and not (task == REGRESSION and array.dtype.kind == "f"):
        raise CrossquantError(
            f"no task has labels of the shape {array.shape[1:]} a sample: set data.task to fidelity, which needs none"
        )
    if task == CLASSIFICATION:
        single = array.argmax(axis=1) if is_one_hot(array) else array.reshape(len(array), -1)
        return to_class_numbers(single, classes, labels)
    if task == MULTILABEL:
        return to_binary(np.atleast_2d(array.T).T, labels, len(classes))
    if task == RECONSTRUCTION:
        return to_binary(array.reshape(len(array), -1), labels, 1)[:, 0]
    values = array.reshape(len(array), -1).astype(np.float32)
    refuse_where(~np.isfinite(values).all(axis=1), values, labels, "is not finite")
    return values


def to_class_numbers(array: Array, classes: tuple[str, ...], labels: RawLabels) -> Array:
    """Class numbers (n,), of the smallest type that holds them. CrossquantError for a label that is none."""
    array = array.reshape(len(array), -1)
    if array.shape[1] != 1:
        raise CrossquantError(
            f"{labels.locate(0)}: classification takes one class a sample, not {array.shape[1]} values"
        )
    column = array[:, 0]
    refuse_where(column != np.floor(column), column, labels, "is not a class number")
    refuse_where(column < 0, column, labels, "is out of range: classes are counted from 0")
    if classes:
        problem = f"is out of range: there are {len(classes)} classes, from 0"
        refuse_where(column >= len(classes), column, labels, problem)
    return column.astype(np.min_scalar_type(int(column.max())))


def to_binary(array: Array, labels: RawLabels, columns: int) -> Array:
    """Labels (n, k) of 0 and 1 as uint8; `columns` is the k that is expected, 0 for any. CrossquantError for others."""
    if columns and array.shape[1] != columns:
        raise CrossquantError(f"{labels.locate(0)}: there are {array.shape[1]} labels a sample, {columns} are expected")
    refuse_where(~np.isin(array, (0, 1)).all(axis=1), array, labels, "is neither 0 nor 1")
    return array.astype(np.uint8)


def refuse_where(wrong: Array | np.bool, values: Any, labels: RawLabels, problem: str) -> None:
    """CrossquantError for the first of the labels where the array `wrong`, (n,) bool, is true."""
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise CrossquantError(f"{labels.locate(first)}: its label {printable_name(values[first])} {problem}")
