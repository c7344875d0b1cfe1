"""What samples of each class count: a number for each, numbers by name, or all classes alike."""

import numpy as np
import pytest

from tests.images.keras.data_makers import User, read_about

ROWS = 60


def write(user: User, y: np.ndarray) -> None:
    user.npz(x=np.random.default_rng(0).normal(size=(ROWS, 3)), y=y)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("balanced", "balanced"),
        ([1, 2, 0.5], [1, 2, 0.5]),
        ({"dog": 5, "ant": 0}, [0, 1, 5]),
        ([], []),
    ],
)
def test_weights_are_in_the_order_of_the_classes(user: User, given: object, expected: object):
    write(user, np.array(["cat", "dog", "ant"])[np.arange(ROWS) % 3])
    about = read_about(user.run("npz", class_weights=given))
    assert (about["classes"], about["class_weights"]) == (["ant", "cat", "dog"], expected)


def test_classes_without_names_have_numbers(user: User):
    write(user, np.arange(ROWS) % 3)
    assert read_about(user.run("npz", class_weights={"2": 3}))["class_weights"] == [1, 1, 3]
    assert read_about(user.run("npz", class_weights=[1, 2, 3, 4]))["class_weights"] == [1, 2, 3, 4], "of the model's"
    assert "data.class_weights has no class '3'" in user.error_of("npz", class_weights={"3": 3})


@pytest.mark.parametrize(
    ("y", "given", "message"),
    [
        (np.arange(ROWS) % 3, [1, 2], "data.class_weights has 2 numbers, there are 3 classes"),
        (np.array(["cat", "dog"])[np.arange(ROWS) % 2], [1, 2, 3], "has 3 numbers, there are 2 classes"),
        (np.array(["cat", "dog"])[np.arange(ROWS) % 2], {"dgo": 2}, "has no class 'dgo': did you mean dog?"),
        (np.arange(ROWS) % 3, [1, -2, 1], "data.class_weights: a weight is 0 or more"),
        (np.arange(ROWS) % 3, [0, 0, 0], "one at least is above 0"),
        (np.arange(ROWS) / 7, [1, 1], "data.class_weights: the task is regression: only a classification has them"),
        (np.arange(ROWS) / 7, "balanced", "data.class_weights: the task is regression: only a classification has them"),
    ],
)
def test_other_weights_are_refused(user: User, y: np.ndarray, given: object, message: str):
    write(user, y)
    assert message in user.error_of("npz", class_weights=given)
