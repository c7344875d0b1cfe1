"""The labels of embeddings: samples that belong together, and pairs with scores; what is drawn and split together."""

import numpy as np
import pytest

from images.keras import calibration, holdout, labels, selection, selection_labels
from images.keras.data import embedding_labels
from shared.data import samples
from tests.images.keras.data_makers import User, read_about

ROWS = 400


def vectors(rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, 3))


def pairs(rows: int = ROWS) -> np.ndarray:
    """Shuffled: the two samples of a pair are not neighbours."""
    numbers = np.random.default_rng(1).permutation(np.repeat(np.arange(rows // 2), 2))
    return np.stack([numbers, numbers % 7 / 2], axis=1)


def count_alone(numbers: np.ndarray) -> int:
    """How many samples have no other one of their number."""
    return int((np.unique(numbers, return_counts=True)[1] == 1).sum())


def test_texts_and_numbers_are_labels_of_samples_that_belong_together(user: User):
    people = np.array([f"person {number % 80}" for number in range(ROWS)])
    user.npz(x=vectors(), y=people)
    out = user.run("npz", task="embedding")
    about = read_about(out)
    assert (about["task"], about["classes"]) == ("embedding", []), "they are no classes of the model"
    train, test = (np.load(out / f"y_{split}.npy") for split in ("train", "test"))
    assert (train.dtype, train.shape, test.shape) == (np.int64, (320,), (80,))
    assert not set(train) & set(test), "the samples of a label stay together"
    assert np.bincount(test)[np.unique(test)].tolist() == [5] * 16
    groups = np.load(out / "group_test.npy")
    assert np.array_equal(groups[:, None] == groups, test[:, None] == test), "and are resampled together"

    user.npz(x=vectors(), y=np.arange(ROWS) % 80 * 1000.0)
    assert np.unique(np.load(user.run("npz", task="embedding") / "y_train.npy")).max() > 10_000


def test_few_labels_are_classes_whose_samples_stand_for_themselves(user: User):
    user.npz(x=vectors(), y=np.arange(ROWS) % 10)
    out = user.run("npz", task="embedding")
    assert np.bincount(np.load(out / "y_test.npy")).tolist() == [8] * 10
    assert not (out / "group_test.npy").exists()


def test_pairs_are_split_and_resampled_together(user: User):
    user.npz(x=vectors(), y=pairs())
    out = user.run("npz", task="embedding")
    train, test = (np.load(out / f"y_{split}.npy") for split in ("train", "test"))
    assert (test.shape, count_alone(train[:, 0]), count_alone(test[:, 0])) == ((80, 2), 0, 0)
    groups = np.load(out / "group_test.npy")
    assert np.array_equal(groups[:, None] == groups, test[:, :1] == test[:, 0])


def test_pairs_in_two_columns_of_a_table(user: User):
    lines = [f"{number},{number // 2},{number // 2 / 8}" for number in range(40)]
    user.text("pairs.csv", "\n".join(["value,pair,score", *lines]))
    out = user.run("table", task="embedding", labels=["pair", "score"])
    assert (read_about(out)["classes"], np.load(out / "y_test.npy").shape) == ([], (8, 2))


def test_pairs_join_the_groups_that_the_data_has():
    """A pair of two documents makes one group of both, and of whatever is paired with them."""
    numbers = np.array([0, 0, 1, 1, 2, 2])
    labels_of_pairs = np.stack([numbers, numbers], axis=1)
    joined = embedding_labels.group_samples(labels_of_pairs, np.array([0, 1, 1, 2, 3, 3]))
    assert joined is not None
    assert joined.tolist() == [0, 0, 0, 0, 1, 1]
    alone = embedding_labels.group_samples(np.arange(60) // 2, np.array([4] * 60))
    assert alone is not None
    assert alone.tolist() == [4] * 60, "what the data says of labels"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(ROWS, 0.5), "x[0]: its label 0.5 is no whole number"),
        (np.arange(ROWS), "x[0]: no two samples of its set have one label"),
        (np.zeros((ROWS, 3)), "x[0]: an embedding takes one label a sample, or two numbers"),
        (np.full((ROWS, 2), "a"), "x[0]: an embedding takes one label a sample, or two numbers"),
        (np.zeros((ROWS, 2)), "x[0]: its label [0. 0.] is of a pair that hasn't two samples"),
        (np.stack([np.arange(ROWS) // 2, np.arange(ROWS)], axis=1), "x[1]: its label [0. 1.] has another score than"),
        (np.stack([np.arange(ROWS) // 2, np.full(ROWS, np.nan)], axis=1), "x[0]: its label [ 0. nan] is not finite"),
    ],
)
def test_other_labels_are_refused(user: User, y: np.ndarray, message: str):
    user.npz(x=vectors(), y=y)
    assert message in user.error_of("npz", task="embedding")


def test_an_embedding_needs_labels(user: User):
    user.npz(x=vectors())
    assert "data.task is embedding, and the data has no labels" in user.error_of("npz", task="embedding")


@pytest.mark.parametrize("y", [pairs(), np.arange(ROWS) % 60], ids=["pairs", "labels"])
def test_draws_have_samples_with_their_mates(user: User, y: np.ndarray):
    user.npz(x_train=vectors(), y_train=y, x_test=vectors() + 10, y_test=y)
    out = user.run("npz", task="embedding")
    made = {name: out.parent / name for name in ("calibration", "selection", "holdout", "selection.labels", "labels")}
    for folder in made.values():
        folder.mkdir()
    calibration.run(out, made["calibration"], images=101, seed=0)
    taken = {"calibration": made["calibration"]}
    selection.run(out, taken, made["selection"], images=60, seed=0)
    selection_labels.run(out, made["selection"], made["selection.labels"])
    holdout.run(out, taken, made["holdout"], images=60, seed=0)
    labels.run(out, made["labels"])
    for name, count in (("calibration", 100), ("selection.labels", 60), ("holdout", 60)):
        drawn = samples.labels(made[name])
        assert drawn is not None
        assert len(drawn) in (count, count + 1)
        assert count_alone(drawn.reshape(len(drawn), -1)[:, 0]) == 0, name
    drawn_indices = [set(calibration.read_manifest(made[name])) for name in ("calibration", "selection", "holdout")]
    assert len(set.union(*drawn_indices)) == sum(map(len, drawn_indices))
    assert samples.about(made["selection"]).task == "embedding"


def test_token_ids_and_masks_of_an_archive(user: User):
    """Whole numbers stay what they are, and inputs have their names."""
    ids = np.random.default_rng(2).integers(0, 30_000, (20, 6))
    mask = (ids > 15_000).astype(np.int64)
    arrays = {"x_train.input_ids": ids, "x_train.attention_mask": mask, "y_train": np.arange(20) % 2}
    arrays |= {"x_test.input_ids": ids + 1, "x_test.attention_mask": mask, "y_test": np.arange(20) % 2}
    user.npz(**arrays)
    out = user.run("npz")
    assert read_about(out)["inputs"] == ["input_ids", "attention_mask"]
    stored = np.load(out / "x_test_0.npy")
    assert (stored.dtype, np.array_equal(stored, ids + 1)) == (np.int64, True)
    assert np.array_equal(np.load(out / "x_train_1.npy"), mask)
