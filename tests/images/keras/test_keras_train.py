"""Training: the architecture, the order of the data and the schedule; one short real run."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from driver.inputs import embedded_sample
from images.keras import train
from shared.artifacts.store import ROOT
from shared.data.samples import validation_split

RESNET8_PARAMETERS = 78_666
TRAINED = ROOT / "driver/models/resnet8-cifar10.keras"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 of the embedded training images, 20 of each class."""
    folder = tmp_path_factory.mktemp("source")
    arrays = embedded_sample.load()
    labels = arrays["y_train"][arrays["train_indices"]]
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == label)[:20] for label in range(10)]))
    np.save(folder / "x_train_0.npy", arrays["x_train"][chosen])
    np.save(folder / "y_train.npy", labels[chosen])
    return folder


@pytest.fixture(scope="module")
def trained(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train.run(source, folder, epochs=2, batch_size=50, seed=0, validation_images=40)
    return folder


def augmented(source: Path, seed: int = 0, batch_size: int = 50) -> train.Augmented:
    return train.Augmented(np.load(source / "x_train_0.npy"), np.load(source / "y_train.npy"), batch_size, seed)


def epoch(batches: train.Augmented) -> tuple[np.ndarray, np.ndarray]:
    """The next epoch's images and labels, as Keras asks for them."""
    batches.on_epoch_begin()
    images, labels = zip(*(batches[index] for index in range(len(batches))), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_resnet8_has_the_size_of_the_reference_model():
    assert train.resnet8().count_params() == RESNET8_PARAMETERS


def test_the_committed_model_is_one_of_these():
    model = keras.models.load_model(TRAINED)
    ours = train.resnet8()
    assert [weight.shape for weight in model.weights] == [weight.shape for weight in ours.weights]
    assert not model.compiled


def test_training_leaves_a_model_that_loads_and_its_history(trained: Path):
    assert sorted(path.name for path in trained.iterdir()) == ["history.json", "model.keras"]
    history = json.loads((trained / "history.json").read_text())
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(len(values) == 2 and np.isfinite(values).all() for values in history.values())
    model = keras.models.load_model(trained / "model.keras")
    assert model.count_params() == RESNET8_PARAMETERS
    assert not model.compiled


def test_the_model_that_is_kept_is_the_last_epochs(source: Path, trained: Path):
    """Its accuracy on the held-out images is the one that the history ends with."""
    images, labels = np.load(source / "x_train_0.npy"), np.load(source / "y_train.npy")
    _, held_out = validation_split(labels, 40, seed=0)
    answers = keras.models.load_model(trained / "model.keras")(images[held_out].astype(np.float32)).numpy()
    accuracy = (answers.argmax(axis=1) == labels[held_out]).mean()
    history = json.loads((trained / "history.json").read_text())
    assert history["val_accuracy"][-1] == pytest.approx(accuracy)
    loss = -np.log(answers[np.arange(40), labels[held_out]].clip(1e-7)).mean()
    assert history["val_loss"][-1] > loss * 0.99  # with the weights' decay on top


def test_the_validation_split_is_disjoint_and_stratified(source: Path):
    labels = np.load(source / "y_train.npy")
    train_indices, validation = validation_split(labels, 40, seed=0)
    assert np.sort(np.concatenate([train_indices, validation])).tolist() == list(range(200))
    assert np.bincount(labels[validation]).tolist() == [4] * 10
    assert validation.tolist() == validation_split(labels, 40, seed=0)[1].tolist()
    assert validation.tolist() != validation_split(labels, 40, seed=1)[1].tolist()


def test_a_seed_gives_the_same_images_in_the_same_order(source: Path):
    one, same, other = augmented(source, 3), augmented(source, 3), augmented(source, 4)
    for _ in range(2):
        images, labels = epoch(one)
        np.testing.assert_array_equal(images, epoch(same)[0])
        assert (images != epoch(other)[0]).any()
    assert images.dtype == np.float32
    assert labels.shape == (200,)


def test_epochs_differ_in_their_order(source: Path):
    batches = augmented(source)
    first = epoch(batches)[1]
    assert (first != epoch(batches)[1]).any()


def test_each_image_comes_once_as_it_is_and_once_mirrored(source: Path, monkeypatch: pytest.MonkeyPatch):
    """In two epochs that follow each other, with its own label; shifts, which would hide it, are off."""
    monkeypatch.setattr(train, "SHIFT", 0)
    batches = augmented(source)
    epochs = [epoch(batches), epoch(batches)]
    seen = sorted((image.tobytes(), int(label)) for pair in epochs for image, label in zip(*pair, strict=True))
    images, labels = np.load(source / "x_train_0.npy").astype(np.float32), np.load(source / "y_train.npy")
    both = [(view, label) for image, label in zip(images, labels, strict=True) for view in (image, image[:, ::-1])]
    assert seen == sorted((np.ascontiguousarray(view).tobytes(), int(label)) for view, label in both)


def test_shifts_are_those_of_a_reflected_border(source: Path):
    """Every image is one of the windows of its padded self, flipped or not; each row and column offset occurs."""
    batches = augmented(source, batch_size=200)
    batches.on_epoch_begin()
    images, _ = batches[0]
    places = [place(image, batches.padded[index]) for image, index in zip(images, batches.order, strict=True)]
    offsets = set(range(2 * train.SHIFT + 1))
    assert {row for row, _ in places} == {column for _, column in places} == offsets


def place(image: np.ndarray, padded: np.ndarray) -> tuple[int, int]:
    """Row and column at which `image`, flipped or not, lies in `padded`."""
    for row, column in np.ndindex(2 * train.SHIFT + 1, 2 * train.SHIFT + 1):
        window = padded[row : row + 32, column : column + 32]
        if (image == window).all() or (image == window[:, ::-1]).all():
            return row, column
    pytest.fail("no window of the padded image is this one")


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(train.PEAK_RATE))
    cycle = train.OneCycle(steps=100, epochs=1)
    cycle.set_model(model)
    rates = []
    for batch in range(100):
        cycle.on_train_batch_begin(batch)
        rates.append(float(model.optimizer.learning_rate.numpy()))
    peak = int(train.WARMUP * 100)
    assert rates[peak] == pytest.approx(train.PEAK_RATE)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[0] < rates[-1] < 0.02 * train.PEAK_RATE
