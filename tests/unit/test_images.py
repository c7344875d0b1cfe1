"""Every framework sees the same pixels, calibration too, and calibration sees training images alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from null_image import pictures

from images.keras import calibration
from shared import images, predictions, timing
from shared.errors import CrossquantError

CLASSES, A_CLASS = 10, 12  # of the training images; labels are in no order


def test_preprocessing_keeps_raw_pixels_in_float32():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    answer = images.preprocess(every)
    assert answer.dtype == np.float32
    assert answer.shape == (1, 16, 16, 1)
    assert answer.ravel().tolist() == list(range(256))


@pytest.mark.parametrize("view", [np.s_[::2], np.s_[:, ::-1], np.s_[..., :2]])
def test_preprocessing_makes_a_view_contiguous(view):
    stored = pictures(6)
    answer = images.preprocess(stored[view])
    assert answer.flags.c_contiguous
    assert (answer == stored[view]).all()


def test_preprocessing_leaves_the_stored_images_alone():
    stored = pictures(2)
    images.preprocess(stored)[:] = -1
    assert (stored == pictures(2)).all()


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_batches_are_in_order_and_the_last_may_be_short(tmp_path: Path, size, lengths):
    np.save(tmp_path / "x.npy", pictures(7))
    found = list(images.batches(tmp_path / "x.npy", size))
    assert [len(batch) for batch in found] == lengths
    assert (np.concatenate(found) == pictures(7)).all()
    assert {batch.dtype for batch in found} == {np.dtype(np.float32)}


@pytest.fixture
def labels():
    return np.random.default_rng(5).permutation(np.repeat(np.arange(CLASSES, dtype=np.uint8), A_CLASS))


def test_a_draw_has_as_many_of_each_class(labels):
    drawn = images.draw_by_class(labels, 4, np.random.default_rng(0))
    assert np.bincount(labels[drawn]).tolist() == [4] * CLASSES
    assert (np.diff(drawn) > 0).all(), "sorted, and none twice"


def test_a_draw_depends_on_the_seed_alone(labels):
    first, again, other = (images.draw_by_class(labels, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_class_with_just_enough_images_is_taken_whole(labels):
    drawn = images.draw_by_class(labels, A_CLASS, np.random.default_rng(0))
    assert drawn.tolist() == list(range(len(labels)))


def test_a_class_that_is_too_small_is_refused(labels):
    with pytest.raises(ValueError, match=r"^a class has 12 images, 13 are asked for$"):
        images.draw_by_class(labels, A_CLASS + 1, np.random.default_rng(0))


def test_the_validation_split_is_even_and_disjoint(labels):
    train, validation = images.validation_split(labels, 30, seed=3)
    assert np.bincount(labels[validation]).tolist() == [3] * CLASSES
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert (images.validation_split(labels, 30, seed=3)[1] == validation).all()


@pytest.fixture
def source(tmp_path: Path, labels) -> Path:
    """A data set whose test images are unlike any training image: they are brighter."""
    folder = tmp_path / "source"
    folder.mkdir()
    np.save(folder / "x_train.npy", pictures(len(labels)) // 2)
    np.save(folder / "y_train.npy", labels)
    np.save(folder / "train_indices.npy", np.arange(len(labels)))
    np.save(folder / "x_test.npy", pictures(len(labels), seed=9) // 2 + 128)
    np.save(folder / "y_test.npy", labels)
    return folder


def calibrate(source: Path, name: str = "calibration", *, images: int = 50, seed: int = 0) -> Path:
    out = source.parent / name
    out.mkdir()
    calibration.run(source, out, images=images, seed=seed)
    return out


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def test_calibration_and_evaluation_preprocess_with_the_very_same_function():
    assert calibration.preprocess is images.preprocess
    assert timing.preprocess is images.preprocess
    assert predictions.batches is images.batches
    assert images.batches.__globals__["preprocess"] is images.preprocess


def test_calibration_and_evaluation_give_the_same_bytes_for_the_same_pictures(source: Path):
    out = calibrate(source)
    np.save(source / "drawn.npy", np.load(source / "x_train.npy")[manifest(out)["indices"]])
    evaluated = np.concatenate(list(images.batches(source / "drawn.npy", 7)))
    calibrated = np.load(out / "images.npy")
    assert (calibrated.dtype, calibrated.shape) == (evaluated.dtype, evaluated.shape)
    assert calibrated.tobytes() == evaluated.tobytes()


def test_preprocessing_changed_in_one_place_changes_calibration_and_evaluation(source: Path, monkeypatch):
    """Neither has a conversion of its own beside the shared one."""

    def inverted(stored):
        return np.float32(255) - stored

    monkeypatch.setattr(images, "preprocess", inverted)
    monkeypatch.setattr(calibration, "preprocess", inverted)
    out = calibrate(source)
    drawn = np.load(source / "x_train.npy")[manifest(out)["indices"]]
    np.save(source / "drawn.npy", drawn)
    assert (np.load(out / "images.npy") == 255.0 - drawn).all()
    assert (np.concatenate(list(images.batches(source / "drawn.npy", 7))) == 255.0 - drawn).all()


def test_calibration_draws_a_hundred_a_class_by_default_size(tmp_path: Path):
    labels = np.tile(np.arange(CLASSES, dtype=np.uint8), 110)
    for name, array in {"x_train": pictures(1100), "y_train": labels, "train_indices": np.arange(1100)}.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "out").mkdir()
    calibration.run(tmp_path, tmp_path / "out", images=1000, seed=0)
    assert np.bincount(labels[manifest(tmp_path / "out")["indices"]]).tolist() == [100] * CLASSES
    assert len(np.load(tmp_path / "out" / "images.npy")) == 1000


def test_calibration_draws_from_the_training_images_alone(source: Path, labels):
    out = calibrate(source, seed=3)
    found = manifest(out)
    assert (found["split"], found["seed"]) == ("train", 3)
    assert np.bincount(labels[found["indices"]]).tolist() == [5] * CLASSES
    assert np.load(out / "images.npy").max() < 128, "a test image is brighter"


def test_calibration_needs_no_test_images(source: Path):
    (source / "x_test.npy").unlink()
    (source / "y_test.npy").unlink()
    assert len(np.load(calibrate(source) / "images.npy")) == 50


def test_calibration_is_the_same_to_the_byte_on_a_second_run(source: Path):
    first, second, other = calibrate(source, "first"), calibrate(source, "second"), calibrate(source, "other", seed=1)
    for name in ("images.npy", "manifest.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()


@pytest.mark.parametrize(("count", "least"), [(45, 4), (5, 0), (40, 4)])
def test_calibration_is_as_even_over_the_classes_as_can_be(source: Path, labels, count, least):
    drawn = labels[manifest(calibrate(source, images=count))["indices"]]
    assert len(drawn) == count
    assert set(np.bincount(drawn, minlength=10)) <= {least, least + 1}
    assert (np.load(source.parent / "calibration" / "labels.npy") == drawn).all()


def test_calibration_refuses_more_of_a_class_than_there_are(source: Path):
    with pytest.raises(CrossquantError) as caught:
        calibrate(source, images=130)
    assert str(caught.value) == "calibration.images is 130: a class has 12 images, 13 are asked for"
    assert list((source.parent / "calibration").iterdir()) == []


def keep_only(source: Path, indices: np.ndarray) -> None:
    """Turn `source` into a sample, which holds some training images but all their labels."""
    np.save(source / "x_train.npy", np.load(source / "x_train.npy")[indices])
    np.save(source / "train_indices.npy", indices)


def test_a_sample_gives_the_very_same_calibration_images(source: Path):
    full = calibrate(source, "full")
    more = np.union1d(manifest(full)["indices"], [0, 1, 2, 60, 119])
    keep_only(source, more)
    sampled = calibrate(source, "sampled")
    assert (full / "images.npy").read_bytes() == (sampled / "images.npy").read_bytes()


def test_a_sample_without_a_drawn_image_is_refused(source: Path):
    keep_only(source, np.array(manifest(calibrate(source, "full"))["indices"][:-1]))
    with pytest.raises(CrossquantError) as caught:
        calibrate(source)
    assert str(caught.value) == (
        "the embedded sample holds only the default calibration images: "
        "ask for no others, or get the full data set with `python -m driver fetch`"
    )
