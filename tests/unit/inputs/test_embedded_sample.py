"""The embedded sample: what it holds, that it is what `make` draws, and that it is all the calibration stage needs."""

import json

import numpy as np
import pytest

from driver.inputs import cifar10, embedded_sample
from images.keras import calibration
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError

FULL = ROOT / "volumes" / "inputs" / "cifar10"
SUMS = json.loads((embedded_sample.FOLDER / "sha256.json").read_text())


@pytest.fixture(scope="module")
def embedded():
    return embedded_sample.load()


@pytest.fixture
def source(embedded, tmp_path):
    """The sample as `fetch` keeps it."""
    folder = tmp_path / "cifar10-sample"
    save(folder, embedded)
    (folder / "about.json").write_text("{}")
    return folder


def numbered(count):
    """Images that tell their number, and each pixel its place; noise would take the WebP encoder seconds."""
    images = np.zeros((count, 32, 32, 3), np.uint8)
    images[..., 0] = np.arange(count)[:, None, None]
    images[..., 1] = 8 * np.arange(32)[:, None]
    images[..., 2] = 7 * np.arange(32)
    return images


def save(folder, arrays):
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / (f"{name}_0.npy" if name.startswith("x_") else f"{name}.npy"), array)


def test_the_committed_files_decode_to_their_sums(embedded):
    assert cifar10.hash_arrays(embedded) == SUMS


@pytest.mark.parametrize(("part", "per_class", "full"), [("test", 200, 10_000), ("train", 100, 50_000)])
def test_as_many_images_of_each_class(embedded, part, per_class, full):
    images, indices = embedded[f"x_{part}"], embedded[f"{part}_indices"]
    labels = embedded["y_test"] if part == "test" else embedded["y_train"][indices]
    assert np.bincount(labels).tolist() == [per_class] * 10
    assert (images.shape, images.dtype) == ((10 * per_class, 32, 32, 3), np.uint8)
    assert (np.diff(indices) > 0).all(), "sorted, and none twice"
    assert 0 <= indices[0] <= indices[-1] < full


def test_no_image_is_there_twice(embedded):
    images = [image.tobytes() for part in ("x_train", "x_test") for image in embedded[part]]
    assert len(set(images)) == 3000


def test_all_training_labels_are_there(embedded):
    assert np.bincount(embedded["y_train"]).tolist() == [5000] * 10


def test_what_is_made_is_loaded_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_sample, "TEST_PER_CLASS", 10)
    monkeypatch.setattr(embedded_sample, "CALIBRATION_PER_CLASS", 5)
    full = {
        "x_train": numbered(80),
        "y_train": np.tile(np.arange(10, dtype=np.uint8), 8),
        "x_test": numbered(120),
        "y_test": np.tile(np.arange(10, dtype=np.uint8), 12),
    }
    save(tmp_path / "full", full)
    embedded_sample.make(tmp_path / "full", tmp_path / "made")
    sample = embedded_sample.load(tmp_path / "made")
    assert (len(sample["x_train"]), len(sample["x_test"])) == (50, 100)
    np.testing.assert_array_equal(sample["x_train"], full["x_train"][sample["train_indices"]])
    np.testing.assert_array_equal(sample["x_test"], full["x_test"][sample["test_indices"]])
    np.testing.assert_array_equal(sample["y_test"], full["y_test"][sample["test_indices"]])
    np.testing.assert_array_equal(sample["y_train"], full["y_train"])
    assert json.loads((tmp_path / "made" / "sha256.json").read_text()) == cifar10.hash_arrays(sample)


def test_a_picture_of_images_is_unpacked_in_their_order(tmp_path):
    images = numbered(2 * embedded_sample.COLUMNS)
    embedded_sample.pack(images, tmp_path / "sheet.webp")
    np.testing.assert_array_equal(embedded_sample.unpack(tmp_path / "sheet.webp"), images)


@pytest.mark.skipif(not (FULL / "x_test_0.npy").exists(), reason="needs the full data set in volumes/inputs/cifar10")
def test_the_sample_made_anew_is_the_committed_one(tmp_path, monkeypatch):
    """Its pictures are not encoded again, which takes half a minute: others hold that they lose nothing."""
    packed = {}
    monkeypatch.setattr(embedded_sample, "pack", lambda images, path: packed.update({path: images}))
    monkeypatch.setattr(embedded_sample, "unpack", packed.get)
    embedded_sample.make(FULL, tmp_path)
    assert json.loads((tmp_path / "sha256.json").read_text()) == SUMS


def test_the_default_calibration_uses_exactly_the_embedded_images(embedded, source, tmp_path):
    calibration.run(source, tmp_path, images=1000, seed=0)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest == {"split": "train", "seed": 0, "indices": embedded["train_indices"].tolist()}
    images = np.load(tmp_path / "input_0.npy")
    np.testing.assert_array_equal(images, embedded["x_train"])


@pytest.mark.parametrize(("images", "seed"), [(1000, 1), (500, 0)])
def test_another_calibration_needs_the_full_set(source, tmp_path, images, seed):
    with pytest.raises(CrossquantError) as caught:
        calibration.run(source, tmp_path, images=images, seed=seed)
    assert str(caught.value) == (
        "the embedded sample holds only the default calibration images: "
        "ask for no others, or get the full data set with `./crossquant fetch`"
    )


def test_a_calibration_that_can_not_be_drawn(source, tmp_path):
    with pytest.raises(CrossquantError) as caught:
        calibration.run(source, tmp_path, images=50_010, seed=0)
    assert str(caught.value) == "calibration.images is 50010: there are 50000 samples to draw from, ask for no more"
