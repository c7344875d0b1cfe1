"""Every framework sees the same pixels, calibration too, and calibration sees training images alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from null_image import pictures

from images.keras import calibration
from shared.data import samples
from shared.errors import CrossquantError
from shared.measure import predictions, startup, timing
from shared.quantization import scorer

CLASSES, A_CLASS = 10, 12  # of the training images; labels are in no order


def keep(folder: Path, *arrays: np.ndarray, **about: object) -> Path:
    """An artifact that holds samples, one array an input."""
    for number, array in enumerate(arrays):
        np.save(folder / f"input_{number}.npy", array)
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def test_a_batch_has_the_raw_pixels_in_float32(tmp_path: Path):
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    [answer] = samples.take(keep(tmp_path, every), slice(1))
    assert answer.dtype == np.float32
    assert answer.shape == (1, 16, 16, 1)
    assert answer.ravel().tolist() == list(range(256))


@pytest.mark.parametrize("view", [np.s_[::2], np.s_[:, ::-1], np.s_[..., :2]])
def test_a_batch_is_contiguous_however_the_samples_are_stored(tmp_path: Path, view):
    stored = np.asfortranarray(pictures(6)[view])
    [answer] = samples.take(keep(tmp_path, stored), slice(None))
    assert answer.flags.c_contiguous
    assert (answer == stored).all()


def test_a_batch_is_a_copy(tmp_path: Path):
    keep(tmp_path, pictures(2))
    samples.take(tmp_path, slice(2))[0][:] = -1
    assert (np.load(tmp_path / "input_0.npy") == pictures(2)).all()


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_batches_are_in_order_and_the_last_may_be_short(tmp_path: Path, size, lengths):
    batches = [batch for [batch] in samples.batches(keep(tmp_path, pictures(7)), size)]
    assert [len(batch) for batch in batches] == lengths
    assert (np.concatenate(batches) == pictures(7)).all()
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}


def test_each_input_has_the_type_that_the_model_takes(tmp_path: Path):
    keep(tmp_path, pictures(5), np.arange(15).reshape(5, 3), dtypes=["uint8", "int32"])
    image, tokens = samples.take(tmp_path, np.array([4, 1]))
    assert (image.dtype, tokens.dtype) == (np.dtype(np.uint8), np.dtype(np.int32))
    assert (image == pictures(5)[[4, 1]]).all()
    assert tokens.tolist() == [[12, 13, 14], [3, 4, 5]]


def test_ten_inputs_are_in_the_order_of_their_numbers(tmp_path: Path):
    keep(tmp_path, *(np.full((2, 1), number, np.float32) for number in range(11)))
    assert [int(array[0, 0]) for array in samples.take(tmp_path, slice(1))] == list(range(11))


def test_what_is_said_nowhere_has_a_default(tmp_path: Path):
    assert samples.about(tmp_path) == samples.About()
    assert samples.about(tmp_path).task == "classification"
    assert samples.labels(tmp_path) is None


@pytest.mark.parametrize(
    ("said", "problem"), [({"task": "guessing"}, "task: must be one of"), ({"colour": 1}, "colour: unknown key")]
)
def test_a_description_that_is_not_understood_is_refused(tmp_path: Path, said, problem):
    with pytest.raises(CrossquantError, match=problem):
        samples.about(keep(tmp_path, pictures(1), **said))


def test_a_folder_without_samples_is_refused(tmp_path: Path):
    with pytest.raises(CrossquantError, match=r"holds no samples: delete .* and run again$"):
        samples.count(tmp_path)


def test_a_sample_with_nan_in_any_input_is_not_finite():
    one, other = np.zeros((4, 2, 2)), np.zeros((4, 3))
    one[1, 0, 1], other[3, 2] = np.nan, np.inf
    assert samples.finite((one, other)).tolist() == [True, False, True, False]
    assert samples.finite((np.zeros((2, 5), np.uint8),)).all()


@pytest.fixture
def labels():
    return np.random.default_rng(5).permutation(np.repeat(np.arange(CLASSES, dtype=np.uint8), A_CLASS))


def test_a_draw_has_as_many_of_each_class(labels):
    drawn = samples.draw_by_class(labels, 4, np.random.default_rng(0))
    assert np.bincount(labels[drawn]).tolist() == [4] * CLASSES
    assert (np.diff(drawn) > 0).all(), "sorted, and none twice"


def test_a_draw_depends_on_the_seed_alone(labels):
    first, again, other = (samples.draw_by_class(labels, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_class_with_just_enough_images_is_taken_whole(labels):
    drawn = samples.draw_by_class(labels, A_CLASS, np.random.default_rng(0))
    assert drawn.tolist() == list(range(len(labels)))


def test_a_class_that_is_too_small_is_refused(labels):
    with pytest.raises(ValueError, match=r"^a class has 12 samples, 13 are asked for$"):
        samples.draw_by_class(labels, A_CLASS + 1, np.random.default_rng(0))


def test_the_validation_split_is_even_and_disjoint(labels):
    train, validation = samples.validation_split(labels, 30, seed=3)
    assert np.bincount(labels[validation]).tolist() == [3] * CLASSES
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert (samples.validation_split(labels, 30, seed=3)[1] == validation).all()


@pytest.fixture
def source(tmp_path: Path, labels) -> Path:
    """A data set whose test images are unlike any training image: they are brighter."""
    folder = tmp_path / "source"
    folder.mkdir()
    np.save(folder / "x_train_0.npy", pictures(len(labels)) // 2)
    np.save(folder / "y_train.npy", labels)
    np.save(folder / "train_indices.npy", np.arange(len(labels)))
    np.save(folder / "x_test_0.npy", pictures(len(labels), seed=9) // 2 + 128)
    np.save(folder / "y_test.npy", labels)
    (folder / "about.json").write_text("{}")
    return folder


def calibrate(source: Path, name: str = "calibration", *, images: int = 50, seed: int = 0) -> Path:
    out = source.parent / name
    out.mkdir()
    calibration.run(source, out, images=images, seed=seed)
    return out


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def test_calibration_and_evaluation_read_with_the_very_same_function():
    assert predictions.batches is samples.batches
    assert {module.samples.take for module in (timing, startup, scorer)} == {samples.take}
    assert samples.batches.__globals__["take"] is samples.take


def test_calibration_and_evaluation_give_the_same_bytes_for_the_same_pictures(source: Path):
    out = calibrate(source)
    drawn = np.load(source / "x_train_0.npy")[manifest(out)["indices"]]
    evaluated = np.concatenate([batch for [batch] in samples.batches(keep(source, drawn), 7)])
    [calibrated] = samples.take(out, slice(None))
    assert (calibrated.dtype, calibrated.shape) == (evaluated.dtype, evaluated.shape)
    assert calibrated.tobytes() == evaluated.tobytes()


def test_calibration_keeps_every_input_and_what_the_samples_are(source: Path, labels):
    np.save(source / "x_train_1.npy", np.arange(len(labels))[:, None])
    (source / "about.json").write_text(json.dumps({"name": "pairs", "dtypes": ["float32", "int32"]}))
    out = calibrate(source)
    assert samples.about(out).name == "pairs"
    assert samples.take(out, slice(None))[1].ravel().tolist() == manifest(out)["indices"]


def test_without_classes_any_samples_are_drawn(source: Path, labels):
    np.save(source / "y_train.npy", np.linspace(0, 1, len(labels))[:, None])
    (source / "about.json").write_text(json.dumps({"task": "regression"}))
    drawn = manifest(calibrate(source))["indices"]
    assert len(set(drawn)) == 50
    assert drawn == sorted(drawn)


def test_without_labels_any_samples_are_drawn(source: Path):
    (source / "y_train.npy").unlink()
    (source / "about.json").write_text(json.dumps({"task": "fidelity"}))
    out = calibrate(source)
    assert samples.count(out) == 50
    assert samples.labels(out) is None
    with pytest.raises(CrossquantError, match="there are 120 samples to draw from, ask for no more"):
        calibrate(source, "more", images=121)


def test_calibration_draws_a_hundred_a_class_by_default_size(tmp_path: Path):
    labels = np.tile(np.arange(CLASSES, dtype=np.uint8), 110)
    for name, array in {"x_train_0": pictures(1100), "y_train": labels, "train_indices": np.arange(1100)}.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "about.json").write_text("{}")
    (tmp_path / "out").mkdir()
    calibration.run(tmp_path, tmp_path / "out", images=1000, seed=0)
    assert np.bincount(labels[manifest(tmp_path / "out")["indices"]]).tolist() == [100] * CLASSES
    assert len(np.load(tmp_path / "out" / "input_0.npy")) == 1000


def test_calibration_draws_from_the_training_images_alone(source: Path, labels):
    out = calibrate(source, seed=3)
    drawn = manifest(out)
    assert (drawn["split"], drawn["seed"]) == ("train", 3)
    assert np.bincount(labels[drawn["indices"]]).tolist() == [5] * CLASSES
    assert np.load(out / "input_0.npy").max() < 128, "a test image is brighter"


def test_calibration_needs_no_test_images(source: Path):
    (source / "x_test_0.npy").unlink()
    (source / "y_test.npy").unlink()
    assert len(np.load(calibrate(source) / "input_0.npy")) == 50


def test_calibration_is_the_same_to_the_byte_on_a_second_run(source: Path):
    first, second, other = calibrate(source, "first"), calibrate(source, "second"), calibrate(source, "other", seed=1)
    for name in ("input_0.npy", "manifest.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()


@pytest.mark.parametrize(("count", "least"), [(45, 4), (5, 0), (40, 4)])
def test_calibration_is_as_even_over_the_classes_as_can_be(source: Path, labels, count, least):
    drawn = labels[manifest(calibrate(source, images=count))["indices"]]
    assert len(drawn) == count
    assert set(np.bincount(drawn, minlength=10)) <= {least, least + 1}
    assert (np.load(source.parent / "calibration" / "labels.npy") == drawn).all()


def test_calibration_refuses_more_than_there_are(source: Path):
    with pytest.raises(CrossquantError) as caught:
        calibrate(source, images=130)
    assert str(caught.value) == "calibration.images is 130: there are 120 samples to draw from, ask for no more"
    assert list((source.parent / "calibration").iterdir()) == []


def keep_only(source: Path, indices: np.ndarray) -> None:
    """Turn `source` into a sample, which holds some training images but all their labels."""
    np.save(source / "x_train_0.npy", np.load(source / "x_train_0.npy")[indices])
    np.save(source / "train_indices.npy", indices)


def test_a_sample_gives_the_very_same_calibration_images(source: Path):
    full = calibrate(source, "full")
    more = np.union1d(manifest(full)["indices"], [0, 1, 2, 60, 119])
    keep_only(source, more)
    sampled = calibrate(source, "sampled")
    assert (full / "input_0.npy").read_bytes() == (sampled / "input_0.npy").read_bytes()


def test_a_sample_without_a_drawn_image_is_refused(source: Path):
    keep_only(source, np.array(manifest(calibrate(source, "full"))["indices"][:-1]))
    with pytest.raises(CrossquantError) as caught:
        calibrate(source)
    assert str(caught.value) == (
        "the embedded sample holds only the default calibration images: "
        "ask for no others, or get the full data set with `./crossquant fetch`"
    )


@pytest.mark.parametrize(
    ("stored", "read"),
    [("uint8", "float32"), ("int16", "float32"), ("int64", "int64"), ("uint32", "uint32"), (">i4", "int32")],
)
def test_undeclared_samples_are_read_without_changing_a_value(stored: str, read: str, tmp_path: Path):
    values = np.array([[0], [np.iinfo(stored).max]], stored)
    np.save(tmp_path / "input_0.npy", values)
    [taken] = samples.take(tmp_path, slice(2))
    assert str(taken.dtype) == read
    assert int(taken[1, 0]) == np.iinfo(stored).max


def test_samples_in_the_types_that_a_model_takes(tmp_path: Path):
    keep(tmp_path, np.arange(6).reshape(3, 2), np.arange(3, dtype=np.uint8)[:, None], task="fidelity")
    with samples.typed(tmp_path, ["int64", "float32"]) as same:
        assert same == tmp_path
    with samples.typed(tmp_path, ["int32", "uint8"]) as other:
        assert [str(array.dtype) for array in samples.take(other, slice(3))] == ["int32", "uint8"]
        assert samples.about(other).task == "fidelity"
    assert not other.exists()
