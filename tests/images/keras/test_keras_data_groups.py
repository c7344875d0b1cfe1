"""Groups of samples that are not independent: by a column, an array, a picture's name, or the user's own file."""

from pathlib import Path

import numpy as np
import pytest

from images.keras import calibration, labels, selection_labels
from shared.data import samples
from shared.errors import CrossquantError
from tests.images.keras.data_makers import User, pixels

ROWS = 120
PATIENTS = [f"p{number // 4}" for number in range(ROWS)]  # thirty of them, with four rows each


def write_table(user: User, name: str = "rows.csv") -> None:
    lines = ["value,patient,kind"]
    lines += [f"{number},{patient},{'ab'[number % 2]}" for number, patient in enumerate(PATIENTS)]
    user.text(name, "\n".join(lines) + "\n")


def test_a_column_groups_the_rows_and_is_no_feature(user: User):
    write_table(user)
    out = user.run("table", group="patient", features=[], labels=["kind"])
    values, groups = np.load(out / "x_test_0.npy"), np.load(out / "group_test.npy")
    assert values.shape[1] == 1
    assert (np.diff(values[:, 0]) > 0).all()
    expected = [PATIENTS[int(value)] for value in values[:, 0]]
    assert [(one == other) for one in groups for other in groups] == [
        (one == other) for one in expected for other in expected
    ]


def test_no_group_is_in_both_sets(user: User):
    write_table(user)
    out = user.run("table", group="patient", labels=["kind"])
    patients = [
        {PATIENTS[int(value)] for value in np.load(out / f"x_{split}_0.npy")[:, 0]} for split in ("train", "test")
    ]
    assert len(patients[0]) + len(patients[1]) == 30
    assert not patients[0] & patients[1]


def test_an_array_groups_the_samples(user: User):
    arrays = {"x_train": np.ones((9, 2)), "y_train": np.arange(9) % 3, "x_test": np.arange(12.0).reshape(6, 2)}
    arrays |= {"y_test": np.arange(6) % 3, "group_test": np.array(["b", "b", "a", "a", "c", "c"])}
    np.savez(user.files / "data.npz", **arrays)
    out = user.run("npz")
    assert np.load(out / "group_test.npy").tolist() == [1, 1, 0, 0, 2, 2]
    assert not (out / "group_train.npy").exists()


def test_an_array_of_another_length_is_refused(user: User):
    np.savez(user.files / "data.npz", x=np.ones((9, 2)), y=np.arange(9) % 3, group=np.arange(8))
    with pytest.raises(CrossquantError, match=r"x has 9 samples, group has 8: fix one of them"):
        user.run("npz")


def test_a_name_groups_the_pictures(user: User):
    for split in ("train", "test"):
        for number in range(6):
            user.image(f"{split}/{'ab'[number % 2]}/video{number // 2}_{number}.png", pixels(number, 8, 8, 3))
    out = user.run("folder", group=r"^(video\d+)_")
    assert np.load(out / "group_test.npy").tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("film", r"'film' matches nothing in the name v0\.png"), ("(", r"'\(' is no regular expression")],
)
def test_a_pattern_that_tells_nothing_is_refused(user: User, pattern: str, message: str):
    for split in ("train", "test"):
        for label in "ab":
            user.image(f"{split}/{label}/v0.png", pixels(3, 8, 8, 3))
    with pytest.raises(CrossquantError, match=f"^data.group: {message}"):
        user.run("folder", group=pattern)


def test_the_user_s_own_file_yields_groups(user: User):
    user.text(
        "load_data.py",
        "def samples(split):\n    for number in range(10):\n        yield [float(number)], number % 2, number // 5\n",
    )
    assert np.load(user.run("python") / "group_test.npy").tolist() == [0] * 5 + [1] * 5


def test_some_groups_are_none(user: User):
    user.text(
        "load_data.py",
        "def samples(split):\n    for number in range(10):\n"
        "        yield [float(number)], number % 2, number if number else None\n",
    )
    with pytest.raises(CrossquantError, match=r"^some samples have a group and others have none"):
        user.run("python")


def test_the_groups_are_kept_with_the_labels(user: User, tmp_path: Path):
    write_table(user)
    out = user.run("table", group="patient", labels=["kind"])
    kept = tmp_path / "kept"
    kept.mkdir()
    labels.run(out, kept)
    assert samples.groups(kept).tolist() == np.load(out / "group_test.npy").tolist()


def test_the_groups_of_a_selection_set_are_in_the_order_of_its_samples(user: User, tmp_path: Path):
    write_table(user)
    out = user.run("table", group="patient", labels=["kind"])
    selection, kept = tmp_path / "selection", tmp_path / "kept"
    for folder in (selection, kept):
        folder.mkdir()
    calibration.write_manifest(selection, np.array([3, 4, 20]), 0)
    selection_labels.run(out, selection, kept)
    assert samples.groups(kept).tolist() == np.load(out / "group_train.npy")[[3, 4, 20]].tolist()
