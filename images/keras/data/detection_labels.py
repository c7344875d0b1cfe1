"""The objects of a detection: boxes and classes, checked, of one unit, and padded to one array a set."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from images.keras.data.readers import npz
from images.keras.data.sample_sets import find_root, list_entries, printable_name
from images.keras.data.task_labels import LabelOptions, RawLabels
from shared.contract import decode
from shared.data.samples import Array
from shared.detector_outputs import LABEL_COLUMNS, PADDING, SIDES, Detection, check_options
from shared.errors import CrossquantError, FieldError
from shared.numerics import Doubles

ANCHORS = "anchors"
SLACK = 1e-4  # of a side, by which a rounded box may reach beyond the picture
MOST_CHANNELS = 4


def parse_detection(options: Mapping[str, Any], files: Path) -> Detection:
    """The setting `data.detection`; `anchors` names an array in `files`. CrossquantError names a wrong key."""
    name = options.get(ANCHORS, "")
    others = {key: value for key, value in options.items() if key != ANCHORS}
    try:
        parsed = decode(Detection, others | {ANCHORS: load_anchors(name, files) if name else []})
    except FieldError as error:
        raise CrossquantError(f"data.detection.{error}") from None
    check_options(parsed)
    return parsed  # type: ignore[no-any-return]


def load_anchors(name: object, files: Path) -> list[list[float]]:
    """The array of this name, of a `.npz` or a `.npy` file: (anchors, 4). CrossquantError where there is none."""
    folder = find_root(files)
    archives = [path for path in list_entries(folder) if path.suffix == ".npz"]
    members = [*npz.folder_members(folder), *(member for path in archives for member in npz.archive_members(path))]
    wanted = str(name).removesuffix(".npy")
    found = next((member for member in members if member.name == wanted), None)
    if found is None:
        names = ", ".join(printable_name(member.name) for member in members) or "none"
        raise CrossquantError(f"data.detection.anchors: there is no array '{printable_name(name)}'; there are: {names}")
    shape = npz.check_header(found).shape
    if len(shape) != 2 or shape[1] != SIDES:
        raise CrossquantError(
            f"the array {printable_name(name)} is {shape}: anchors must be (anchors, 4), each centre x, centre y, "
            "width and height"
        )
    return [row.astype(np.float64).tolist() for row in npz.iterate_rows(found)]


def resolve_objects(
    sets: Mapping[str, RawLabels],
    detection: Detection,
    options: LabelOptions,
    shape: tuple[int, ...],
    classes: tuple[str, ...] = (),
) -> dict[str, Array | None]:
    """The objects of each set, (samples, most objects, 5) float32: box and class, in the unit of the model's boxes.

    Parameters
    ----------
    sets : mapping
        Each label is (objects, 5): x1, y1, x2, y2, class. Rows of the class -1 are padding.
    detection : Detection
        Are the model's boxes shares of width and height? Labels of which none is above 1 are.
    options : LabelOptions
        The number of the first class, and how pictures are fitted to another size: boxes in pixels would be wrong.
    shape : tuple
        Of the picture as the model takes it. Without a height and a width, labels must be of the model's unit.

    CrossquantError names the sample, and the fix.
    """
    objects = {
        name: [read_objects(value, place(labels, number)) for number, value in enumerate(labels.values)]
        for name, labels in sets.items()
    }
    normalized = all(boxes[:, :SIDES].max(initial=0) <= 1 + SLACK for each in objects.values() for boxes in each)
    if not any(len(boxes) for each in objects.values() for boxes in each):
        raise CrossquantError("no sample has an object: give boxes, or set data.task: fidelity")
    if options.resized and not normalized:
        raise CrossquantError(
            "boxes in pixels, and data.resize changes the pictures: give x and y as shares of width and height, 0 to 1"
        )
    if options.resized not in ("", "stretch"):
        raise CrossquantError(
            f"data.fit: {options.resized} moves what boxes are around: set data.fit: stretch, or give pictures of "
            "one size"
        )
    sides = find_sides(shape)
    limits = np.ones(2) if normalized else sides
    for name, each in objects.items():
        for number, boxes in enumerate(each):
            check_objects(boxes, limits, classes, options.offset, place(sets[name], number))
    factor = find_factor(normalized, detection.normalized, sides)
    return {
        name: pad_objects([convert_objects(boxes, factor, options.offset) for boxes in each])
        for name, each in objects.items()
    }


Place = Callable[[], str]


def place(labels: RawLabels, number: int) -> Place:
    return lambda: labels.locate(number)


def read_objects(value: Any, where: Place) -> Doubles:
    """(objects, 5) without padding. CrossquantError where the label has another shape, or isn't of numbers."""
    if value is None:
        raise CrossquantError(f"{where()} has no label, and detection needs one: an empty list where it has no object")
    try:
        rows = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise CrossquantError(
            f"{where()}: its label {printable_name(value)[:80]} must be rows of 5 numbers, x1, y1, x2, y2, class"
        ) from None
    if not rows.size:
        return np.zeros((0, LABEL_COLUMNS))
    if rows.ndim != 2 or rows.shape[1] != LABEL_COLUMNS:
        raise CrossquantError(
            f"{where()}: its label is {rows.shape}: it must be (objects, 5), each x1, y1, x2, y2, class"
        )
    kept = rows[rows[:, SIDES] != PADDING]
    if not np.isfinite(kept).all():
        raise CrossquantError(f"{where()}: an object has NaN or infinity: fix it, or set its class to -1")
    return np.asarray(kept)


def find_sides(shape: tuple[int, ...]) -> Doubles | None:
    """Width and height of a picture of this shape, channels last or first; None where it is none."""
    if len(shape) == 3:
        first = shape[0] <= MOST_CHANNELS < shape[-1]
        return np.array(shape[:0:-1] if first else shape[1::-1], np.float64)
    return np.array(shape[::-1], np.float64) if len(shape) == 2 else None


def check_objects(
    objects: Doubles, limits: Doubles | None, classes: tuple[str, ...], label_offset: int, where: Place
) -> None:
    """CrossquantError for a box that is none, or is not inside of `limits`, (width, height), and for a wrong class."""
    boxes, numbers = objects[:, :SIDES], objects[:, SIDES]
    top = np.tile(np.full(2, np.inf) if limits is None else limits, 2)
    slack = SLACK * np.where(np.isfinite(top), top, 0)
    beyond = ((boxes < -slack) | (boxes > top + slack)).any(axis=1)
    inverted = (boxes[:, :2] >= boxes[:, 2:]).any(axis=1)
    fractional = numbers != np.floor(numbers)
    below, above = numbers < label_offset, numbers >= (label_offset + len(classes) if classes else np.inf)
    size = "" if limits is None else f" {limits[0]:g} wide and {limits[1]:g} high"
    for wrong, problem in (
        (inverted, "x1 must be below x2 and y1 below y2: give corners, not centre or size"),
        (beyond, f"the box is not inside of the picture{size}: clip it, or give boxes of these pictures"),
        (fractional, "its class is no whole number"),
        (below, f"its class is out of range: classes are counted from {label_offset}; see data.label_offset"),
        (above, f"its class is out of range: there are {len(classes)} classes, from {label_offset}"),
    ):
        if wrong.any():
            number = int(np.flatnonzero(wrong)[0])
            values = ", ".join(f"{value:g}" for value in objects[number])
            raise CrossquantError(f"{where()}: object {number} is {values}: {problem}")


def find_factor(normalized: bool, wanted: bool, sides: Doubles | None) -> Doubles:
    """What the coordinates, (4,), are multiplied by to be of the model's unit. CrossquantError without a picture."""
    if normalized == wanted:
        return np.ones(SIDES)
    if sides is None:
        units = "shares of width and height, the model's pixels" if normalized else "pixels, the model's shares"
        raise CrossquantError(
            f"the labels' boxes are {units}, and the first input is no picture: set data.detection.normalized, or "
            "give boxes in the model's unit"
        )
    return np.asarray(np.tile(sides if normalized else 1 / sides, 2))


def convert_objects(objects: Doubles, factor: Doubles, label_offset: int) -> Doubles:
    return np.concatenate([objects[:, :SIDES] * factor, objects[:, SIDES:] - label_offset], axis=1)


def pad_objects(objects: list[Doubles]) -> Array:
    """(samples, most objects, 5) float32, of objects that differ in number; rows of -1 are none."""
    padded = np.full((len(objects), max(1, *map(len, objects)), LABEL_COLUMNS), PADDING, np.float32)
    for row, each in zip(padded, objects, strict=True):
        row[: len(each)] = each
    return padded
