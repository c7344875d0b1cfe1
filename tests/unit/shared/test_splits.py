"""The selection set and the holdout: training images, disjoint from each other and from every calibration set."""

import json

import numpy as np
import pytest

from images.keras import calibration, holdout, selection, selection_labels
from shared.errors import CrossquantError

CLASSES, EACH = 4, 50


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(CLASSES, dtype=np.uint8), EACH))
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    np.save(folder / "x_train_0.npy", images)
    np.save(folder / "y_train.npy", labels)
    np.save(folder / "train_indices.npy", np.arange(len(labels)))
    (folder / "about.json").write_text("{}")
    return folder


def make(stage, source, name, images, seed=0, taken=None):
    out = source.parent / name
    out.mkdir()
    arguments = (source, out) if taken is None else (source, taken, out)
    stage.run(*arguments, images=images, seed=seed)
    return out


def indices(folder):
    return json.loads((folder / "manifest.json").read_text())["indices"]


def test_no_image_is_in_two_sets(source):
    draws = {name: make(calibration, source, name, 20, seed) for seed, name in enumerate(("calibration", "second"))}
    sets = [*draws.values()]
    sets += [make(stage, source, stage.__name__[-7:], 60, taken=draws) for stage in (selection, holdout)]
    chosen, held = map(indices, sets[2:])
    assert len({*chosen}) == len({*held}) == 60
    assert not {*chosen} & {*held}
    assert not {*chosen, *held} & {*indices(sets[0]), *indices(sets[1])}


def test_the_split_has_the_images_and_labels_of_its_indices_in_even_numbers(source):
    out = make(selection, source, "selection", 40, taken={})
    apart = source.parent / "labels"
    apart.mkdir()
    selection_labels.run(source, out, apart)
    assert not (out / "labels.npy").exists()
    labels = np.load(apart / "labels.npy")
    assert (labels == np.load(source / "y_train.npy")[indices(out)]).all()
    assert (np.load(out / "input_0.npy")[:, 0, 0, 0] == indices(out)).all()
    assert (np.bincount(labels) == 10).all()


def test_more_images_than_there_are_is_an_error(source):
    with pytest.raises(CrossquantError) as caught:
        make(selection, source, "selection", 104, taken={})
    assert str(caught.value) == (
        "104 training samples outside of the calibration sets: there are 100 samples to draw from, ask for no more; "
        "the option images of selection says how many"
    )
