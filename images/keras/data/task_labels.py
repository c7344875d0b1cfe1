"""The labels of a task, from the labels as the user has them; each is checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from images.keras.data.sample_sets import TEST, TRAIN, Label, printable_name
from shared.data.samples import IGNORED, Array
from shared.data.task_names import Task
from shared.detector_outputs import Detection
from shared.errors import CrossquantError

TaskOrAuto: TypeAlias = Task | Literal["auto"]
AUTO: Literal["auto"] = "auto"
TOKEN_AXES, SERIES_AXES = 2, 2  # of labels (samples, tokens), and of one sample of a series, (steps, values)
PICTURE_AXES = 3  # of one picture, with that of its channels
HALF = 0.5  # of the positions must have a class, for labels to be one-hot masks
PAIR = 2  # values of a label that is the number of a pair and its score, and samples of a pair
CLASSIFICATION: Task = "classification"
MULTILABEL: Task = "multilabel"
REGRESSION: Task = "regression"
FORECASTING: Task = "forecasting"
SEGMENTATION: Task = "segmentation"
TAGGING: Task = "tagging"
DETECTION: Task = "detection"
RECONSTRUCTION: Task = "reconstruction"
EMBEDDING: Task = "embedding"
FIDELITY: Task = "fidelity"
PER_POSITION = (SEGMENTATION, TAGGING)
WHITE = 255  # of a mask as a picture: the only class there is, or the positions that don't count
PADDED = -100  # what PyTorch's and Keras' losses are told to ignore, by custom


@dataclass(frozen=True)
class RawLabels:
    """The labels of one set as a reader gives them, in order. `locate` names the place of a sample, by its number.

    `textual`: they are the texts of a text file, which may stand for numbers.
    """

    values: Sequence[Label]
    locate: Callable[[int], str]
    textual: bool = False


@dataclass(frozen=True)
class InputForm:
    """Of the first input: the shape of one sample, and NumPy's letter for the kind of its type."""

    shape: tuple[int, ...] = ()
    kind: str = "f"


@dataclass(frozen=True)
class LabelOptions:
    """What the experiment says of labels: the number of the first class, and the label that doesn't count.

    Of a detection also how boxes are read, and how pictures are fitted to another size, "" where they aren't.
    """

    offset: int = 0
    ignored: int = IGNORED
    detection: Detection | None = None
    resized: str = ""


@dataclass(frozen=True)
class TaskLabels:
    """The task, the names of its classes, and an array of labels for each set; None for a set without labels."""

    task: Task
    classes: tuple[str, ...]
    arrays: dict[str, Array | None]


def resolve_labels(
    task: TaskOrAuto,
    sets: dict[str, RawLabels],
    classes: tuple[str, ...],
    options: LabelOptions = LabelOptions(),
    form: InputForm = InputForm(),
) -> TaskLabels:
    """Infer the task, if it is `auto`, and convert the labels of each set to those of the task.

    `classes` are the names of the classes; where there are none, labels that are texts name them. `form` is that of the
    model's first input. CrossquantError, with the place of the sample, for labels that the task doesn't have.
    """
    arrays = {name: to_array(labels, bool(classes)) for name, labels in sets.items()}
    if task == FIDELITY or all(array is None for array in arrays.values()):
        return resolve_unlabeled(task, classes, arrays)
    texts = [array for array in arrays.values() if array is not None and array.dtype.kind == "U"]
    if task == EMBEDDING:
        return resolve_embedding(arrays, sets)
    if texts:
        classes = classes or tuple(np.unique(np.concatenate([array.ravel() for array in texts])).tolist())
        arrays = {name: number_texts(array, classes, sets[name]) for name, array in arrays.items()}
    task = infer_task(arrays, form) if task == "auto" else task
    check_missing(task, arrays)
    if task == CLASSIFICATION and not texts:
        arrays = count_from_zero(arrays, options.offset)
    if task in PER_POSITION:
        arrays = number_positions(arrays, task, options, form, textual=bool(texts))
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


def resolve_unlabeled(task: TaskOrAuto, classes: tuple[str, ...], arrays: dict[str, Array | None]) -> TaskLabels:
    """The task of data without labels, or whose labels aren't used. CrossquantError for a task that needs them."""
    if task not in (AUTO, FIDELITY, RECONSTRUCTION):
        raise CrossquantError(f"data.task is {task}, and the data has no labels: give them, or say fidelity")
    return TaskLabels(FIDELITY if task == "auto" else task, classes, dict.fromkeys(arrays))


def resolve_embedding(arrays: dict[str, Array | None], sets: dict[str, RawLabels]) -> TaskLabels:
    """Labels (n,) int64 of samples that belong together, or (n, 2) float64 of pairs. CrossquantError for others."""
    check_missing(EMBEDDING, arrays)
    present = {name: array for name, array in arrays.items() if array is not None}
    shapes = {array[0].size for array in present.values()}
    for name, array in present.items():
        if array[0].size not in (1, PAIR) or len(shapes) > 1 or (array[0].size == PAIR and array.dtype.kind == "U"):
            raise CrossquantError(
                f"{sets[name].locate(0)}: an embedding takes one label a sample, or two numbers: that of its pair, and "
                f"the score of the pair; not {array.dtype} of the shape {array.shape[1:]}"
            )
    if shapes == {PAIR}:
        return TaskLabels(EMBEDDING, (), {name: to_pairs(array, sets[name]) for name, array in present.items()})
    columns = {name: array.ravel() for name, array in present.items()}
    for name, column in columns.items():
        if column.dtype.kind == "f":
            refuse_where(column != np.floor(column), column, sets[name], "is no whole number: number the labels")
        if name != TRAIN and len(np.unique(column)) == len(column):
            raise CrossquantError(
                f"{sets[name].locate(0)}: no two samples of its set have one label: an embedding's labels say which "
                "samples belong together"
            )
    if any(column.dtype.kind == "U" for column in columns.values()):
        names = np.unique(np.concatenate([column.astype(str) for column in columns.values()]))
        columns = {name: np.searchsorted(names, column.astype(str)) for name, column in columns.items()}
    return TaskLabels(EMBEDDING, (), {name: column.astype(np.int64) for name, column in columns.items()})


def to_pairs(array: Array, labels: RawLabels) -> Array:
    """Labels (n, 2) float64: the number of the pair, and its score. CrossquantError where a pair hasn't two samples."""
    pairs = array.reshape(len(array), PAIR).astype(np.float64)
    refuse_where(~np.isfinite(pairs).all(axis=1), pairs, labels, "is not finite")
    _, numbers, sizes = np.unique(pairs[:, 0], return_inverse=True, return_counts=True)
    refuse_where(sizes[numbers] != PAIR, pairs, labels, "is of a pair that hasn't two samples: give both the number")
    firsts = np.zeros(len(sizes), np.int64)
    firsts[numbers[::-1]] = np.arange(len(pairs))[::-1]
    differs = pairs[:, 1] != pairs[firsts[numbers], 1]
    refuse_where(differs, pairs, labels, "has another score than the other sample of its pair: give both one")
    return pairs


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


def infer_task(arrays: dict[str, Array | None], form: InputForm) -> Task:
    """The task that labels of this shape and type belong to, where the first input has this form."""
    labels = [array for array in arrays.values() if array is not None]
    if any(array[0].size > 1 for array in labels):
        if all(are_positions(array, form) for array in labels):
            return TAGGING if labels[0].ndim == TOKEN_AXES else SEGMENTATION
        if len(form.shape) == SERIES_AXES and all(array.ndim > SERIES_AXES for array in labels):
            return FORECASTING
        if all(is_binary(array) for array in labels):
            return CLASSIFICATION if all(is_one_hot(array) for array in labels) else MULTILABEL
        return REGRESSION
    return REGRESSION if any(array.dtype.kind == "f" for array in labels) else CLASSIFICATION


def are_positions(array: Array, form: InputForm) -> bool:
    """Are these labels classes of positions: whole numbers for each token, or for each place of a map?

    Of each token: there are as many as the first input has, and this is of whole numbers itself, or of vectors. Maps
    that are stored as floats have the height and width of the picture.
    """
    if array.ndim == TOKEN_AXES:
        as_many = form.shape[:1] == array.shape[1:] and array.dtype.kind in "iu" and not is_one_hot(array)
        return as_many and (form.kind in "iu" or len(form.shape) == SERIES_AXES)
    if array.dtype.kind != "f":
        return True
    return array.shape[1:3] == form.shape[:2] and bool((array == np.floor(array)).all())


def number_positions(
    arrays: dict[str, Array | None], task: str, options: LabelOptions, form: InputForm, *, textual: bool
) -> dict[str, Array | None]:
    """Class numbers by position, IGNORED where one doesn't count, from masks as people have them.

    One-hot masks and those with a last axis of one value lose it. Masks of 0 and 255 are of two classes; beside others,
    255 doesn't count, nor does -100 of a token.
    """
    there = collapse_masks({name: array for name, array in arrays.items() if array is not None}, form)
    there = {name: to_signed(array) for name, array in there.items()}
    values = np.unique(np.concatenate([np.unique(array) for array in there.values()]))
    if options.ignored == IGNORED and task == SEGMENTATION and values.tolist() in ([0, WHITE], [WHITE]):
        return {name: (array > 0).astype(np.int64) for name, array in there.items()}
    ignored = {IGNORED, options.ignored, PADDED}
    if task == SEGMENTATION and not textual and options.ignored == IGNORED and len(values) <= WHITE:
        ignored.add(WHITE)
    return {
        name: np.where(np.isin(array, list(ignored)), IGNORED, array - (0 if textual else options.offset))
        for name, array in there.items()
    } | {name: None for name, array in arrays.items() if array is None}


def to_signed(array: Array) -> Array:
    """In a type that holds IGNORED beside the values."""
    return array.astype(np.promote_types(array.dtype, np.int8))


def collapse_masks(arrays: dict[str, Array], form: InputForm) -> dict[str, Array]:
    """Masks without an axis of one value, or of classes of which a position has one, last or behind the samples.

    A position that has no class doesn't count. CrossquantError for masks that still have an axis too many.
    """
    for axis in (-1, 1):
        if all(array.ndim > TOKEN_AXES and array.shape[axis] == 1 for array in arrays.values()):
            return {name: np.take(array, 0, axis) for name, array in arrays.items()}
        if all(array.ndim > TOKEN_AXES + 1 and is_binary(array) for array in arrays.values()):
            sums = {name: array.sum(axis=axis, dtype=np.int64) for name, array in arrays.items()}
            if all(each.max() == 1 for each in sums.values()) and any(
                (each == 1).mean() > HALF for each in sums.values()
            ):
                return {
                    name: np.where(sums[name] == 1, array.argmax(axis=axis), IGNORED) for name, array in arrays.items()
                }
    first = next(iter(arrays.values()))
    if len(form.shape) >= PICTURE_AXES and first.ndim > len(form.shape):
        raise CrossquantError(
            f"masks of {first.shape[1:]} a sample, of pictures of {form.shape}: give the class of each place, as one "
            "number, or set data.task: fidelity"
        )
    return arrays


def is_binary(array: Array) -> bool:
    return bool(np.isin(array, (0, 1)).all())


def is_one_hot(array: Array) -> bool:
    return array.ndim == 2 and array.shape[1] > 1 and is_binary(array) and bool((array.sum(axis=1) == 1).all())


def convert(task: str, array: Array, classes: tuple[str, ...], labels: RawLabels) -> Array:
    """Labels in the form that the task has them: class numbers (n,), 0 and 1 (n,) or (n, k), or float32 (n, k).

    Of a forecast (n, steps) or (n, steps, values) float32, and of classes by position the shape that they have.
    """
    if task in PER_POSITION:
        return to_positions(array, classes, labels)
    if array.ndim > 2 and task not in (REGRESSION, FORECASTING):
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
    return values.reshape(array.shape) if task == FORECASTING and array.ndim > 1 else values


def to_positions(array: Array, classes: tuple[str, ...], labels: RawLabels) -> Array:
    """Class numbers by position, of the smallest type that holds them and IGNORED."""
    if array.ndim < TOKEN_AXES:
        raise CrossquantError(f"{labels.locate(0)}: it has one label, and the task takes one for each position")
    flat = array.reshape(len(array), -1)
    refuse_where((flat != np.floor(flat)).any(axis=1), flat, labels, "has values that are no class numbers")
    refuse_where((flat < IGNORED).any(axis=1), flat, labels, "has values below 0: classes are counted from 0")
    if classes:
        problem = f"has values that are out of range: there are {len(classes)} classes, from 0"
        refuse_where((flat >= len(classes)).any(axis=1), flat, labels, problem)
    if array.size and array.max() == IGNORED:
        raise CrossquantError(f"{labels.locate(0)}: no position of its set counts: all labels are to be ignored")
    return array.astype(np.min_scalar_type(-int(array.max()) - 1))


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
