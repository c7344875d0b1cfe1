"""No sample that calibrates or chooses is in the test set."""

import json
from pathlib import Path

import numpy as np
import pytest

from images.keras import calibration, holdout, sampling, selection
from shared.data import leakage, samples
from shared.errors import CrossquantError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """120 training samples of two inputs and uneven classes; 30 test samples, all unlike."""
    folder = tmp_path / "source"
    folder.mkdir()
    values = np.arange(150, dtype=np.float32)
    for split, some in {"train": values[:120], "test": values[120:]}.items():
        np.save(folder / f"x_{split}_0.npy", some[:, None, None] * np.ones((2, 2), np.float32))
        np.save(folder / f"x_{split}_1.npy", some.astype(np.int32)[:, None])
        np.save(folder / f"y_{split}.npy", (some >= 100).astype(np.uint8))
    np.save(folder / "train_indices.npy", np.arange(120))
    (folder / "about.json").write_text("{}")
    return folder


def put(source: Path, train: int, test: int, inputs: tuple[int, ...] = (0, 1)) -> None:
    """The training sample `train` into the place of a test sample."""
    for number in inputs:
        kept = np.load(source / f"x_test_{number}.npy")
        kept[test] = np.load(source / f"x_train_{number}.npy")[train]
        np.save(source / f"x_test_{number}.npy", kept)


def calibrate(source: Path, name: str = "calibration", images: int = 100, seed: int = 0) -> Path:
    out = source.parent / f".{name}.77.partial"
    out.mkdir()
    calibration.run(source, out, images=images, seed=seed)
    return out


def drawn(out: Path) -> list[int]:
    return json.loads((out / "manifest.json").read_text())["indices"]


def refused(source: Path, name: str = "calibration", **options: int) -> str:
    with pytest.raises(CrossquantError) as caught:
        calibrate(source, name, **options)
    return str(caught.value)


@pytest.mark.parametrize("known", [False, True], ids=["from the arrays", "from digests"])
def test_a_draw_with_a_test_sample_is_refused_and_the_indices_are_named(source: Path, known: bool):
    put(source, 119, 4)
    put(source, 3, 20)
    if known:
        for split in ("train", "test"):
            digests = leakage.compute_digests(sampling.array_paths(source, split))
            np.save(source / leakage.file(split), digests)
            for path in sampling.array_paths(source, split):
                np.save(path, np.load(path) * 0)
    assert refused(source, images=120) == (
        "leakage: 2 of the 120 training samples of calibration are test samples too (train = test: 3 = 20, 119 = 4): "
        "take them out of one set, or set data.duplicates: skip"
    )


def test_every_draw_is_looked_at(source: Path):
    """One that has no test sample goes on; of another seed, one has."""
    outcomes = set()
    clean = drawn(calibrate(source, images=20))
    put(source, next(number for number in range(120) if number not in clean), 0)
    calibrate(source, "calibration.again", images=20)
    for seed in range(1, 30):
        try:
            calibrate(source, f"calibration.d{seed}", 20, seed)
            outcomes.add("sound")
        except CrossquantError as error:
            outcomes.add(str(error).split(" of the")[0])
    assert outcomes == {"sound", "leakage: 1"}


@pytest.mark.parametrize("stage", [selection, holdout])
def test_selection_and_holdout_are_checked_too(source: Path, stage):
    for number in range(30):
        put(source, number, number)
    out = source.parent / "other"
    out.mkdir()
    with pytest.raises(CrossquantError, match=r"^leakage: "):
        stage.run(source, {}, out, images=50, seed=0)


def test_a_sample_is_the_same_only_if_all_its_inputs_are(source: Path):
    put(source, 3, 20, inputs=(0,))
    put(source, 4, 21, inputs=(1,))
    assert len(drawn(calibrate(source, images=120))) == 120


def test_more_pairs_than_a_message_holds(source: Path):
    for number in range(7):
        put(source, number, number)
    assert "0 = 0, 1 = 1, 2 = 2, 3 = 3, 4 = 4 and 2 more)" in refused(source, images=120)


def test_samples_to_skip_are_never_drawn(source: Path):
    for number in range(30):
        put(source, number, number)
    np.save(source / sampling.SKIPPED, np.arange(30))
    assert min(drawn(calibrate(source, images=80))) >= 30
    assert "there are 90 samples to draw from" in refused(source, "more", images=91)


@pytest.mark.parametrize(
    ("sizes", "count", "wanted"),
    [
        ([12] * 4, 10, [3, 3, 2, 2]),
        ([1, 12, 12], 13, [1, 6, 6]),
        ([1, 2, 12], 14, [1, 2, 11]),
        ([0, 5], 5, [0, 5]),
        ([3, 3], 6, [3, 3]),
        ([100, 20], 1, [1, 0]),
    ],
)
def test_a_class_with_too_few_gives_all_it_has(sizes: list[int], count: int, wanted: list[int]):
    assert sampling.balance_counts(sizes, count) == wanted


def test_uneven_classes_are_drawn_as_evenly_as_can_be(source: Path):
    out = calibrate(source, images=60)
    assert np.bincount(samples.labels(out)).tolist() == [40, 20]


def test_even_classes_are_drawn_as_before():
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(4), 30))
    one = sampling.draw_balanced(labels, 50, np.random.default_rng(5))
    assert (one == samples.draw_stratified(labels, 50, np.random.default_rng(5))).all()


def test_without_a_number_as_many_as_there_are_up_to_a_thousand(source: Path):
    assert drawn(calibrate(source, images=0)) == list(range(120))
    np.save(source / "x_train_0.npy", np.arange(1200, dtype=np.float32)[:, None] + 1000)
    (source / "x_train_1.npy").unlink()
    (source / "x_test_1.npy").unlink()
    np.save(source / "train_indices.npy", np.arange(1200))
    np.save(source / "y_train.npy", np.zeros(1200, np.uint8))
    assert len(drawn(calibrate(source, "more", images=0))) == 1000


def test_repeated_samples_are_counted():
    digests = leakage.as_array([leakage.digest_sample([np.array([value])]) for value in (1, 2, 1, 1, 3)])
    assert leakage.count_repeated(digests) == 2
    assert leakage.group_equal(digests)[0] == leakage.group_equal(digests)[2] != leakage.group_equal(digests)[1]
