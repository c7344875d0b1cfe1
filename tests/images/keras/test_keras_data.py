"""The user's own data: every kind gives the same arrays, read once; each error is one line that names its place."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shared.data import leakage
from tests.images.keras.data_makers import User, pixels, read_about


def numbers(out: Path, split: str, what: str = "x") -> np.ndarray:
    return np.load(out / (f"x_{split}_0.npy" if what == "x" else f"y_{split}.npy"))


def rows(count: int, width: int = 4) -> np.ndarray:
    return np.arange(count * width, dtype=np.float32).reshape(count, width)


def test_an_npz_becomes_the_arrays_that_it_holds(user: User):
    x, y = pixels(0, 30, 4, 4, 3), np.arange(30) % 3
    user.npz(x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:, None])
    out = user.run("npz")
    assert numbers(out, "train").dtype == np.uint8, "bytes stay bytes"
    assert (numbers(out, "train") == x[:20]).all()
    assert (numbers(out, "test") == x[20:]).all()
    assert numbers(out, "test", "y").tolist() == y[20:].tolist()
    assert np.load(out / "train_indices.npy").tolist() == list(range(20))
    assert read_about(out) == {
        "name": "my-data",
        "sample": False,
        "classes": [],
        "task": "classification",
        "dtypes": [],
        "evaluated_output": 0,
        "unit": "samples",
        "inputs": [],
        "label": "",
        "labels": None,
        "further_outputs": [],
        "detection": None,
        "class_weights": [],
    }


@pytest.mark.parametrize("names", [("x_train_0", "x_train_1"), ("x_train.right", "x_train.left")])
@pytest.mark.parametrize("packed", [False, True])
def test_several_inputs_keep_their_order(user: User, names: tuple[str, str], packed: bool):
    """By number whatever the order of the file, by name in the order of the file."""
    one, two = rows(10), rows(10, 2) + 100
    arrays = {names[0]: one, names[1]: two, "y_train": np.arange(10) % 2}
    arrays |= {name.replace("train", "test"): array + 1000 * (name[0] == "x") for name, array in arrays.items()}
    if "0" in names[0]:
        arrays = dict(reversed(arrays.items()))
    (np.savez_compressed if packed else np.savez)(user.files / "data.npz", **arrays)
    out = user.run("npz", dtype=["float32", "int32"])
    assert (np.load(out / "x_train_0.npy") == one).all()
    assert (np.load(out / "x_test_1.npy") == two + 1000).all()
    assert read_about(out)["dtypes"] == ["float32", "int32"]


def test_a_folder_of_npy_files_is_read_too_in_either_order_of_the_axes_and_bytes(user: User):
    x = rows(20)
    np.save(user.files / "x_train.npy", np.asfortranarray(x))
    np.save(user.files / "y_train.npy", (np.arange(20) % 2).astype(">i2"))
    np.save(user.files / "x_test.npy", (x + 500).astype(">f8"))
    np.save(user.files / "y_test.npy", np.arange(20) % 2)
    out = user.run("npz")
    assert (numbers(out, "train") == x).all()
    assert (numbers(out, "test") == x + 500).all()
    assert numbers(out, "test").dtype == np.float32
    assert numbers(out, "train", "y").tolist() == [0, 1] * 10


@pytest.mark.parametrize("names", [("x", "y"), ("x_train", "y_train"), ("x_test", "y_test")])
def test_one_set_is_split_by_class_and_calibrates_with_no_test_sample(user: User, names: tuple[str, str]):
    """Also where it is called the test set; samples that are alike stay together."""
    x, y = rows(100), np.arange(100) % 4
    x[96:] = x[92:96]
    user.npz(**dict(zip(names, (x, y), strict=True)))
    out, again, other = user.run("npz"), user.run("npz"), user.run("npz", seed=1, test_share=0.5)
    train, test = numbers(out, "train"), numbers(out, "test")
    assert len(train) + len(test) == 100
    assert 18 <= len(test) <= 23
    assert set(np.bincount(numbers(out, "test", "y"))) <= {4, 5, 6}
    assert not leakage.pairs(np.load(out / "digests_train.npy"), np.load(out / "digests_test.npy"))
    assert sorted([*train[:, 0], *test[:, 0]]) == sorted(x[:, 0])
    assert (test == numbers(again, "test")).all()
    assert len(numbers(other, "test")) > 40
    assert not list(out.glob("*all*"))


def test_floats_are_kept_as_float32_and_booleans_as_bytes(user: User):
    user.npz(x_0=rows(20).astype(np.float64), x_1=np.tile([True, False], (20, 1)), y=np.arange(20) % 2)
    out = user.run("npz")
    assert [np.load(out / f"x_train_{number}.npy").dtype for number in (0, 1)] == [np.float32, np.uint8]


@pytest.mark.parametrize(
    ("labels", "task", "kept"),
    [
        (np.arange(20) % 3, "classification", (np.uint8, (20,))),
        (np.arange(20) * 20, "classification", (np.uint16, (20,))),
        (np.eye(2, dtype=np.float32)[np.arange(20) % 2], "classification", (np.uint8, (20,))),
        (np.array([[1, 1, 0], [0, 0, 0]] * 10), "multilabel", (np.uint8, (20, 3))),
        (np.linspace(0, 1, 20), "regression", (np.float32, (20, 1))),
        (np.arange(40).reshape(20, 2), "regression", (np.float32, (20, 2))),
        (np.linspace(0, 1, 240).reshape(20, 6, 2), "regression", (np.float32, (20, 12))),
        (np.array(["dog", "cat"] * 10), "classification", (np.uint8, (20,))),
        (None, "fidelity", None),
    ],
    ids=["whole", "many", "one-hot", "multilabel", "float", "two values", "steps of a forecast", "texts", "none"],
)
def test_the_labels_say_which_task_it_is(user: User, labels, task: str, kept):
    given = {} if labels is None else {"y_train": labels, "y_test": labels}
    user.npz(x_train=rows(20), x_test=rows(20) + 500, **given)
    out = user.run("npz")
    assert read_about(out)["task"] == task
    if kept is None:
        assert not list(out.glob("y_*"))
    else:
        assert (numbers(out, "train", "y").dtype, numbers(out, "train", "y").shape) == kept


MASKS = np.arange(320).reshape(20, 4, 4) % 3
PICTURES = np.arange(960).reshape(20, 4, 4, 3).astype(np.float32)


def write_masks(user: User, masks: np.ndarray, **options):
    user.npz(x_train=PICTURES, x_test=PICTURES + 5000, y_train=masks, y_test=masks)
    return user.run("npz", **options)


@pytest.mark.parametrize(
    "masks",
    [
        MASKS,
        MASKS.astype(np.float64),
        MASKS[..., None],
        MASKS[:, None],
        np.eye(3, dtype=np.uint8)[MASKS],
        np.moveaxis(np.eye(3, dtype=np.uint8)[MASKS], -1, 1),
    ],
    ids=["numbers", "floats", "one channel", "one channel first", "one-hot", "one-hot first"],
)
def test_masks_are_classes_by_position(user: User, masks: np.ndarray):
    out = write_masks(user, masks)
    assert read_about(out)["task"] == "segmentation"
    assert np.array_equal(np.load(out / "y_test.npy"), MASKS)
    assert np.load(out / "y_test.npy").dtype == np.int8


def test_a_mask_of_black_and_white_has_two_classes(user: User):
    masks = np.where(MASKS == 1, 255, 0).astype(np.uint8)
    assert np.array_equal(np.load(write_masks(user, masks) / "y_test.npy"), (MASKS == 1))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
@pytest.mark.parametrize(("ignored", "options"), [(255, {}), (7, {"ignored_label": 7})])
def test_what_does_not_count_in_a_mask(user: User, ignored: int, options: dict, dtype: str):
    masks = MASKS.astype(dtype)
    masks[:, 0, 0] = ignored
    written = np.load(write_masks(user, masks, **options) / "y_test.npy")
    assert (written[:, 0, 0] == -1).all()
    assert np.array_equal(written[:, 1:], MASKS[:, 1:])


def test_places_of_one_hot_masks_that_have_no_class_do_not_count(user: User):
    """Also where one set alone has such places."""
    masks = np.eye(3, dtype=np.uint8)[MASKS]
    bordered = masks.copy()
    bordered[:, 0] = 0
    user.npz(x_train=PICTURES, x_test=PICTURES + 5000, y_train=masks, y_test=bordered)
    out = user.run("npz")
    train, test = (np.load(out / f"y_{split}.npy") for split in ("train", "test"))
    assert np.array_equal(train, MASKS)
    assert (test[:, 0] == -1).all()
    assert np.array_equal(test[:, 1:], MASKS[:, 1:])


def test_labels_of_one_output_by_its_number(user: User):
    user.npz(x=rows(30), y_1=np.array([0, 1, 1] * 10))
    assert user.error_of("npz").startswith("there are labels for the outputs 1: data.evaluated_output")
    assert read_about(user.run("npz", evaluated_output=1))["evaluated_output"] == 1


def test_masks_that_count_from_one(user: User):
    assert np.array_equal(np.load(write_masks(user, MASKS + 1, label_offset=1) / "y_test.npy"), MASKS)


def test_floats_that_are_no_masks_are_numbers(user: User):
    out = write_masks(user, MASKS / 7)
    assert read_about(out)["task"] == "regression"
    assert np.load(out / "y_test.npy").shape == (20, 16)


def test_tags_are_classes_of_tokens(user: User):
    tokens, tags = np.arange(120).reshape(20, 6), np.arange(120).reshape(20, 6) % 5
    tags[:, 5] = -100
    user.npz(x_train=tokens, x_test=tokens + 500, y_train=tags, y_test=tags)
    out = user.run("npz")
    assert read_about(out)["task"] == "tagging"
    assert np.array_equal(np.load(out / "y_test.npy"), np.where(tags == -100, -1, tags))


def test_the_steps_of_a_forecast_stay_apart(user: User):
    series, steps = np.random.default_rng(0).normal(size=(2, 20, 6, 2))
    user.npz(x_train=series, x_test=series + 9, y_train=steps, y_test=steps)
    out = user.run("npz")
    assert read_about(out)["task"] == "forecasting"
    assert np.load(out / "y_test.npy").shape == (20, 6, 2)
    assert np.load(out / "y_test.npy").dtype == np.float32


@pytest.mark.parametrize(
    ("masks", "options", "message"),
    [
        (MASKS + 0.5, {"task": "segmentation"}, "x_train[0]: its label [0.5 1.5 2.5"),
        (MASKS, {"classes": ["a", "b"]}, "x_train[0]: its label [0 1 2"),
        (
            np.ones((20, 4, 4, 3), int) * [0, 1, 1],
            {},
            "masks of (4, 4, 3) a sample, of pictures of (4, 4, 3): give the",
        ),
        (np.full((20, 4, 4), -1), {}, "x_train[0]: no position of its set counts"),
        (MASKS[:, 0, 0], {"task": "segmentation"}, "x_train[0]: it has one label, and the task takes one for each"),
    ],
)
def test_masks_that_are_wrong(user: User, masks: np.ndarray, options: dict, message: str):
    user.npz(x_train=PICTURES, x_test=PICTURES + 5000, y_train=masks, y_test=masks)
    assert user.error_of("npz", **options).startswith(message)


def test_texts_are_classes_in_alphabetical_order_kept_verbatim(user: User):
    names = np.array(["<b>dog</b>", "Äpfel & co", "cat\nfish"] * 7)
    user.npz(x=rows(21), y=names)
    out = user.run("npz")
    assert read_about(out)["classes"] == ["<b>dog</b>", "cat\nfish", "Äpfel & co"]


def test_the_names_of_arrays_are_kept(user: User):
    arrays = {f"{kind}_{split}.{name}": np.zeros((5, 3)) for split in ("train", "test") for kind, name in ("xb", "xa")}
    labels = {f"y_{split}.score": np.array([0, 1] * 2 + [0]) for split in ("train", "test")}
    user.npz(**arrays, **labels)
    about = read_about(user.run("npz"))
    assert (about["inputs"], about["label"]) == (["b", "a"], "score")
    random = np.random.default_rng(0)
    user.npz(x_0=random.normal(size=(9, 3)), x_1=random.normal(size=(9, 3)), y=np.array([0, 1, 1] * 3))
    about = read_about(user.run("npz"))
    assert (about["inputs"], about["label"]) == ([], "")


def test_labels_for_two_outputs(user: User):
    arrays = {"x": rows(30), "y.box": np.linspace(0, 1, 120).reshape(30, 4), "y.kind": np.array([0, 1, 1] * 10)}
    user.npz(**arrays)
    about = read_about(out := user.run("npz"))
    assert (about["task"], about["label"], about["evaluated_output"]) == ("regression", "box", 0)
    assert [(item["output"], item["name"], item["task"]) for item in about["further_outputs"]] == [
        (1, "kind", "classification")
    ]
    for split in ("train", "test"):
        box, kind = (np.load(out / f"y_{split}{number}.npy") for number in ("", "_1"))
        places = [round(row[0] * 119 / 4) for row in box]
        assert kind.tolist() == [[0, 1, 1][place % 3] for place in places], "split alike"


def test_which_output_decides_and_what_labels_are_for(user: User):
    user.npz(**{"x": rows(30), "y.box": np.linspace(0, 1, 120).reshape(30, 4), "y.kind": np.array([0, 1, 1] * 10)})
    about = read_about(user.run("npz", evaluated_output=0, outputs=[1, 0], output_tasks=["auto", "regression"]))
    assert (about["task"], about["label"]) == ("regression", "kind")
    assert [(item["output"], item["name"]) for item in about["further_outputs"]] == [(1, "box")]


def test_labels_with_the_numbers_of_their_outputs(user: User):
    user.npz(x=rows(30), y_0=np.array([0, 1, 1] * 10), y_2=np.linspace(0, 1, 30))
    about = read_about(user.run("npz"))
    assert about["task"] == "classification"
    assert [(item["output"], item["name"], item["task"]) for item in about["further_outputs"]] == [
        (2, "", "regression")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluated_output": 2}, "there are labels for the outputs 0, 1: data.evaluated_output, the one that decides"),
        ({"outputs": [0]}, "data.outputs has 1 numbers, and there are 2 arrays of labels"),
        ({"outputs": [1, 1]}, "there are labels for the outputs 1, 1: "),
        ({"output_tasks": ["auto"]}, "data.output_tasks has 1 tasks, and there are 2 arrays of labels"),
        (
            {"output_tasks": ["auto", "embedding"]},
            "data.output_tasks: embedding is a task of the output that decides: let data.evaluated_output be its",
        ),
        ({"output_tasks": ["auto", "boxes"]}, "data.output_tasks: 'boxes' is no task: auto, classification"),
    ],
)
def test_settings_of_outputs_that_are_wrong(user: User, options: dict, message: str):
    user.npz(**{"x": rows(30), "y.box": np.linspace(0, 1, 120).reshape(30, 4), "y.kind": np.array([0, 1, 1] * 10)})
    assert user.error_of("npz", **options).startswith(message)


def test_gray_images_without_an_axis_of_channels(user: User):
    user.npz(x=np.random.default_rng(0).integers(0, 256, (9, 6, 5)).astype(np.uint8), y=np.array([0, 1, 1] * 3))
    assert np.load(user.run("npz", color="gray") / "x_train_0.npy").shape[1:] == (6, 5, 1)


@pytest.mark.parametrize(
    ("labels", "offset", "kept"),
    [([1, 2, 3, 4] * 5, 1, [0, 1, 2, 3]), ([-1, 1] * 10, 0, [0, 1]), ([-2, -1, 0] * 7, -2, [0, 1, 2])],
    ids=["from 1", "of a hinge loss", "from -2"],
)
def test_labels_that_do_not_count_from_0(user: User, labels: list[int], offset: int, kept: list[int]):
    user.npz(x=np.random.default_rng(0).normal(size=(len(labels), 3)), y=np.array(labels))
    out = user.run("npz", label_offset=offset)
    assert np.unique(np.load(out / "y_train.npy")).tolist() == kept


def test_an_autoencoder_may_be_calibrated_on_samples_without_labels(user: User):
    user.npz(x_train=rows(20), x_test=rows(20) + 500, y_test=np.arange(20) % 2)
    out = user.run("npz", task="reconstruction")
    assert numbers(out, "test", "y").tolist() == [0, 1] * 10
    assert not (out / "y_train.npy").exists()


def test_a_task_that_is_asked_for_is_kept_to(user: User):
    user.npz(x=rows(20), y=np.arange(20) % 2)
    assert read_about(user.run("npz", task="regression"))["task"] == "regression"
    assert read_about(user.run("npz", task="fidelity"))["task"] == "fidelity"
    assert not list(user.run("npz", task="fidelity").glob("y_*"))


def with_label(value: object, **more: object) -> dict:
    labels = np.array([0, 1] * 10, dtype=type(value))
    labels[13] = value
    return {"x": rows(20), "y": labels, **more}


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        (with_label(-1), {}, "x[13]: its label -1 is out of range: classes are counted from 0"),
        (with_label(2), {"classes": ["a", "b"]}, "x[13]: its label 2 is out of range: there are 2 classes, from 0"),
        (with_label(0.5), {"task": "classification"}, "x[13]: its label 0.5 is not a class number"),
        (with_label(float("nan")), {}, "x[13]: its label [nan] is not finite"),
        (with_label(2), {"task": "reconstruction"}, "x[13]: its label [2] is neither 0 nor 1"),
        ({"x": rows(20), "y": np.arange(19)}, {}, "x has 20 samples, y has 19: fix one of them"),
        ({"x": rows(20)}, {"task": "classification"}, "data.task is classification, and the data has no labels"),
        (
            {"x_train": rows(9), "y_train": np.arange(9), "x_test": rows(9)},
            {},
            "the test set has no labels, the other has: give both, or say data.task: fidelity",
        ),
        (
            {"x_train": rows(9), "x_test": rows(9, 5)},
            {},
            "the training set has inputs of [((4,), 'float32')], the test set of [((5,), 'float32')]",
        ),
        ({"x": np.where(rows(20) == 50, np.nan, rows(20))}, {}, "x[12] has NaN or infinity: fix it or leave it out"),
        ({"images": rows(3)}, {}, "the arrays must be called x_train, y_train, x_test, y_test, or x and y; there"),
        ({"x": np.float32(3)}, {}, "x is a single value: its first axis must be the samples"),
        ({"x": np.array(["a", "b"])}, {}, "x[0] is of type <U1: an input must be an array of numbers"),
        ({"x": np.array([1 + 2j] * 20)}, {}, "x is of type complex128: it must be of numbers"),
        ({"x": rows(0)}, {}, "the data set has no samples"),
        ({"x": rows(1)}, {}, "1 samples can't be split into a training and a test set: give more"),
        ({"x": rows(20)}, {"dtype": ["float33"]}, "data.dtype: 'float33' is none of float32"),
        ({"x": rows(20)}, {"dtype": ["int8", "int8"]}, "data.dtype has 2 types, the data has 1 inputs"),
        ({"x": rows(20)}, {"resize": [8]}, "data.resize is [8]: it must be [height, width]"),
        ({"x": rows(20)}, {"resize": [8, 8]}, "data.resize takes uint8 images with 1 or 3 channels: x[0] is"),
        ({"x": rows(20)}, {"color": "bgr"}, "data.color: bgr is for images (height, width, 3 channels): x[0] has"),
        ({"x": rows(20)}, {"mean": [1.0, 2.0]}, "data.mean has 2 numbers, x[0] has the shape (4,)"),
        ({"x": rows(20)}, {"std": [0.0]}, "data.std is [0.0]: it must be above 0"),
    ],
)
def test_arrays_that_are_wrong(user: User, arrays: dict, options: dict, message: str):
    user.npz(**arrays)
    assert user.error_of("npz", **options).startswith(message)


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_pickle_is_refused_and_nothing_in_it_is_run(user: User, suffix: str):
    trace = user.files.parent / "executed"
    objects = np.array([Bomb(trace)] * 20, dtype=object)
    if suffix == "npz":
        user.npz(x=objects)
    else:
        np.save(user.files / "x.npy", objects)
    assert user.error_of("npz") == (
        "x holds Python objects (a pickle), which could run code: they are never loaded; "
        "save numbers, with one dtype and one shape"
    )
    assert not trace.exists()


def archive(user: User, **members: bytes) -> None:
    with zipfile.ZipFile(user.files / "data.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def npy(shape: tuple[int, ...], content: bytes, dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def test_a_zip_bomb_is_not_unpacked(user: User):
    archive(user, x=npy((1 << 28,), bytes(1 << 28)))
    assert (user.files / "data.npz").stat().st_size < 1 << 19
    message = user.error_of("npz")
    assert "x.npy unpacks to 10" in message
    assert "zip bomb" in message


def test_an_array_that_declares_more_than_there_is(user: User):
    archive(user, x=npy((1 << 40, 1 << 20), bytes(100)))
    assert user.error_of("npz").startswith("x declares uint8 (1099511627776, 1048576), 1152921504606847")


def test_members_that_share_their_bytes(user: User):
    """As in Fifield's bomb: each entry of the directory points at the same content."""
    archive(user, x=npy((1000,), bytes(pixels(0, 1000))), y=npy((1000,), bytes(pixels(1, 1000))))
    path = user.files / "data.npz"
    whole = bytearray(path.read_bytes())
    directory = whole.index(b"PK\1\2")
    second = whole.index(b"PK\1\2", directory + 4)
    whole[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(whole)
    assert user.error_of("npz")


@pytest.mark.parametrize("damage", ["cut", "flipped", "noise", "empty"])
def test_a_damaged_archive(user: User, damage: str):
    path = user.npz(x=rows(500), y=np.arange(500) % 2)
    whole = bytearray(path.read_bytes())
    whole[3000] ^= 255
    damaged = {"cut": whole[:3000], "flipped": whole, "noise": b"no archive", "empty": b""}[damage]
    path.write_bytes(damaged)
    message = user.error_of("npz")
    assert ("x is damaged: Bad CRC-32" in message) if damage == "flipped" else ("no .npz archive" in message)


def test_a_truncated_npy(user: User):
    np.save(user.files / "x.npy", rows(500))
    (user.files / "x.npy").write_bytes((user.files / "x.npy").read_bytes()[:4000])
    assert user.error_of("npz").startswith("x declares float32 (500, 4), 8128 bytes, and has 4000: it is cut short")
    (user.files / "x.npy").write_bytes(b"\x93NUM")
    assert user.error_of("npz").startswith("x is damaged: ")


def test_no_files_at_all(user: User):
    assert user.error_of("npz") == f"the data set is empty: folder '{user.files.name}' holds no file"


def test_duplicates_may_be_left_out_of_every_draw(user: User):
    x, y = rows(60), np.arange(60) % 2
    user.npz(x_train=x[:40], y_train=y[:40], x_test=x[30:], y_test=y[30:])
    assert not (user.run("npz") / "skipped.npy").exists()
    out = user.run("npz", duplicates="skip")
    assert np.load(out / "skipped.npy").tolist() == list(range(30, 40))


def headed(text: bytes, version: bytes = b"\1\0") -> bytes:
    size = len(text).to_bytes(2 if version == b"\1\0" else 4, "little")
    return b"\x93NUMPY" + version + size + text


@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.parametrize("text", [b"(" * 9000, b"-" * 9000, b"[" * 9000, b"{'descr': '|u1'}", b"\xff" * 100, b"1+"])
def test_a_header_that_is_none(user: User, suffix: str, text: bytes):
    if suffix == "npz":
        archive(user, x=headed(text))
    else:
        (user.files / "x.npy").write_bytes(headed(text))
    assert user.error_of("npz") == "x has no valid .npy header: save it again with numpy.save"


def test_a_header_without_end(user: User):
    archive(user, x=headed(b" " * 20_000, b"\2\0"))
    assert user.error_of("npz") == "x has a header of 20000 bytes, 10000 at most: save it again"


@pytest.mark.parametrize(
    ("shape", "dtype"), [((10**12, 0), "|u1"), ((10**12,), "<U0"), ((-2, -3), "|u1"), ((10**12, 3, 0), "<f4")]
)
def test_samples_that_take_no_byte_are_not_counted(user: User, shape: tuple[int, ...], dtype: str):
    archive(user, x=npy(shape, bytes(6 if shape[0] < 0 else 0), dtype))
    assert user.error_of("npz").startswith("x is empty: ")
