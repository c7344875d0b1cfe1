"""The objects of a detection: checked, brought to one unit, and padded; each error names the sample and the fix."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from images.keras.data import detection_labels
from images.keras.data.task_labels import LabelOptions, RawLabels
from shared.data import samples
from shared.detector_outputs import Detection
from shared.errors import CrossquantError
from tests.images.keras.data_makers import User, pixels

SHAPE = (50, 100, 3)  # 100 wide and 50 high
BOX = [10, 20, 90, 40, 1]
SHARES = [0.1, 0.4, 0.9, 0.8, 1]


def resolve(*labels: Any, train: Any = (), normalized: bool = False, **options: Any) -> np.ndarray:
    sets = {"train": train or labels, "test": labels}
    raw = {name: RawLabels(values, lambda number, name=name: f"{name}[{number}]") for name, values in sets.items()}
    labels_as = LabelOptions(options.get("label_offset", 0), resized=options.get("resized", ""))
    shape, classes = options.get("shape", SHAPE), options.get("classes", ())
    objects = detection_labels.resolve_objects(raw, Detection(normalized=normalized), labels_as, shape, classes)["test"]
    assert objects is not None
    return objects


def error_of(*labels: Any, **options: Any) -> str:
    with pytest.raises(CrossquantError) as caught:
        resolve(*labels, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_lists_of_different_lengths_are_padded():
    objects = resolve([BOX, BOX], [], np.zeros((0, 5)), [BOX])
    assert objects.dtype == np.float32
    assert objects.shape == (4, 2, 5)
    assert (objects[..., 4] == [[1, 1], [-1, -1], [-1, -1], [1, -1]]).all()
    assert objects[3, 0].tolist() == BOX


def test_padding_is_of_the_class_minus_one():
    """Whatever its coordinates are, and wherever it stands."""
    rows = np.array([[0, 0, 0, 0, -1], BOX, [np.nan, 9e9, 0, 0, -1]])
    assert resolve(rows).tolist() == [[BOX]]


@pytest.mark.parametrize("shape", [SHAPE, (50, 100), (3, 50, 100), (50, 100, 4), (1, 50, 100)])
def test_boxes_are_brought_to_the_model_s_unit(shape: tuple[int, ...]):
    for label, normalized, expected in (
        (BOX, False, BOX),
        (BOX, True, SHARES),
        (SHARES, False, BOX),
        (SHARES, True, SHARES),
    ):
        assert resolve([label], normalized=normalized, shape=shape)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_the_unit_is_that_of_all_boxes():
    """A box of one pixel in the corner is in pixels, since others are."""
    corner = [0, 0, 1, 1, 0]
    assert resolve([corner], train=([BOX],)).tolist() == [[corner]]
    assert resolve([corner])[0, 0] == pytest.approx([0, 0, 100, 50, 0])


def test_without_a_picture_the_units_must_be_the_same():
    assert resolve([SHARES], normalized=True, shape=(7,)).shape == (1, 1, 5)
    assert resolve([BOX], shape=(7,)).tolist() == [[BOX]]
    message = "the labels' boxes are pixels, the model's shares, and the first input is no picture: set data.detection"
    assert error_of([BOX], normalized=True, shape=(7,)).startswith(message)
    assert "are shares of width and height, the model's pixels, and" in error_of([SHARES], shape=(7,))


def test_classes_from_another_number():
    assert resolve([BOX], label_offset=1)[0, 0, 4] == 0
    assert error_of([[*BOX[:4], 0]], label_offset=1).endswith("classes are counted from 1; see data.label_offset")
    assert error_of([[*BOX[:4], 3]], label_offset=1, classes=("a", "b")).endswith("there are 2 classes, from 1")
    assert resolve([[*BOX[:4], 2]], label_offset=1, classes=("a", "b"))[0, 0, 4] == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[BOX], None], "train[1] has no label, and detection needs one: an empty list where it has no object"),
        ([[BOX], [BOX[:4]]], "train[1]: its label is (1, 4): it must be (objects, 5), each x1, y1, x2, y2, class"),
        ([[BOX], BOX], "train[1]: its label is (5,): it must be (objects, 5), each x1, y1, x2, y2, class"),
        ([[BOX], [BOX, BOX[:3]]], "train[1]: its label [[10, 20, 90, 40, 1], [10, 20, 90]] must be rows of 5 numbers"),
        ([[BOX], [[*BOX[:4], "cat"]]], "train[1]: its label [[10, 20, 90, 40, 'cat']] must be rows of 5 numbers"),
        ([[BOX], [BOX, [10, np.nan, 20, 30, 0]]], "train[1]: an object has NaN or infinity: fix it, or set its class"),
        (
            [[BOX], [BOX, [50, 20, 30, 40, 1]]],
            "train[1]: object 1 is 50, 20, 30, 40, 1: x1 must be below x2 and y1 below y2: give corners, not centre",
        ),
        (
            [[BOX], [[50, 20, 100.5, 40, 1]]],
            "train[1]: object 0 is 50, 20, 100.5, 40, 1: the box is not inside of the picture 100 wide and 50 high: "
            "clip it, or give boxes of these pictures",
        ),
        ([[BOX], [[-1, 20, 30, 40, 1]]], "train[1]: object 0 is -1, 20, 30, 40, 1: the box is not inside of the"),
        ([[SHARES], [[-0.1, 0, 1, 1, 1]]], "train[1]: object 0 is -0.1, 0, 1, 1, 1: the box is not inside of the"),
        ([[BOX], [[*BOX[:4], 0.5]]], "train[1]: object 0 is 10, 20, 90, 40, 0.5: its class is no whole number"),
        ([[BOX], [[*BOX[:4], -2]]], "train[1]: object 0 is 10, 20, 90, 40, -2: its class is out of range: classes"),
        ([[], []], "no sample has an object: give boxes, or set data.task: fidelity"),
    ],
)
def test_wrong_objects_are_refused(labels: list[Any], message: str):
    assert error_of(*labels).startswith(message)


def test_a_box_may_be_rounded_beyond_the_picture():
    assert resolve([[10, 20, 100.001, 50, 1]]).shape == (1, 1, 5)
    assert resolve([[0, 0, 1.00001, 1, 1]], normalized=True)[0, 0, 2] == pytest.approx(1.00001)


def test_pictures_that_are_resized_have_boxes_of_shares():
    assert resolve([SHARES], resized="stretch")[0, 0] == pytest.approx(BOX)
    assert error_of([BOX], resized="stretch").startswith("boxes in pixels, and data.resize changes the pictures: give")
    assert error_of([SHARES], resized="crop").startswith("data.fit: crop moves what boxes are around: set data.fit")


def test_options_are_parsed(tmp_path: Path):
    options = {"decoder": "center_size", "normalized": True, "scores": 0, "iou_threshold": 1}
    assert detection_labels.parse_detection(options, tmp_path) == Detection(
        "center_size", scores=0, iou_threshold=1.0, normalized=True
    )
    for given, message in (
        ({"decoder": "yolo"}, "data.detection.decoder: must be one of corners, center_size, ssd, not 'yolo'"),
        ({"box": 1}, "data.detection.box: unknown key; did you mean boxes?"),
        ({"iou_threshold": 2.0}, "detection.iou_threshold is 2: it must be from 0 to 1"),
    ):
        with pytest.raises(CrossquantError, match="^" + re.escape(message)):
            detection_labels.parse_detection(given, tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_anchors_are_an_array_of_the_data(tmp_path: Path, packed: bool):
    anchors = np.array([[0.25, 0.5, 0.1, 0.2], [0.75, 0.5, 0.125, 0.25]], np.float32)
    if packed:
        np.savez(tmp_path / "data.npz", x=np.zeros((2, 3)), my_anchors=anchors, flat=anchors[0])
    else:
        np.save(tmp_path / "my_anchors.npy", anchors)
        np.save(tmp_path / "flat.npy", anchors[0])
    options = {"decoder": "ssd", "anchors": "my_anchors"}
    parsed = detection_labels.parse_detection(options, tmp_path)
    assert np.array(parsed.anchors) == pytest.approx(anchors)
    for name, message in (
        ("others", "data.detection.anchors: there is no array 'others'; there are: "),
        ("flat", r"the array flat is \(4,\): anchors must be \(anchors, 4\), each centre x"),
    ):
        with pytest.raises(CrossquantError, match=f"^{message}"):
            detection_labels.parse_detection(options | {"anchors": name}, tmp_path)


OBJECTS = np.array([[[10, 20, 90, 40, 1], [0, 0, 5, 5, 0]], [[0, 0, 8, 8, 2], [0, 0, 0, 0, -1]]] * 10, np.float32)


def test_arrays_of_objects(user: User):
    """From start to end, with anchors in the same file."""
    x = pixels(0, 20, 50, 100, 3)
    user.npz(x_train=x, y_train=OBJECTS, x_test=x + 1, y_test=OBJECTS[:, :1], prior=np.full((6, 4), 0.5))
    settings = {"decoder": "ssd", "anchors": "prior", "normalized": True, "background": True}
    out = user.run("npz", task="detection", detection=settings)
    about = samples.about(out)
    assert about.task == "detection"
    assert about.detection == Detection("ssd", normalized=True, background=True, anchors=((0.5,) * 4,) * 6)
    assert np.load(out / "y_train.npy")[0, 0] == pytest.approx([0.1, 0.4, 0.9, 0.8, 1])
    assert np.load(out / "y_train.npy").shape == (20, 2, 5)
    assert np.load(out / "y_test.npy").shape == (20, 1, 5)


def test_one_set_of_objects_is_split(user: User):
    user.npz(x=pixels(0, 20, 50, 100, 3), y=OBJECTS)
    out = user.run("npz", task="detection", test_share=0.5)
    assert np.load(out / "y_test.npy").shape == (10, 2, 5)


LISTS = """
import numpy as np

def samples(split):
    for number in range(6):
        picture = np.full((50, 100, 3), number + 10 * (split == "test"), np.uint8)
        yield picture, [[10, 20, 90, 40, 1]] * (number % 3)
"""


def test_a_function_yields_lists_of_objects(user: User):
    user.text("load_data.py", LISTS)
    out = user.run("python", task="detection")
    assert (np.load(out / "y_test.npy")[..., 4] >= 0).sum(axis=1).tolist() == [0, 1, 2, 0, 1, 2]


def test_errors_of_the_stage(user: User):
    user.text("load_data.py", LISTS.replace("[[10, 20, 90, 40, 1]]", "[[10, 20], [3]]"))
    message = "sample 1 of samples('train'): its label [[10, 20], [3]] must be rows of 5 numbers, x1, y1, x2, y2, class"
    assert user.error_of("python", task="detection") == message
    user.text("load_data.py", LISTS)
    assert user.error_of("python", detection={"scores": 0}).startswith("data.detection is there, and data.task is auto")
    message = "boxes in pixels, and data.resize changes the pictures"
    assert user.error_of("python", task="detection", resize=[25, 50]).startswith(message)
    assert user.error_of("python", task="detection", detection={"boxs": 0}).startswith(
        "data.detection.boxs: unknown key"
    )
