"""A batch fits in memory together with what LiteRT computes of its samples."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from images.litert import computed_bytes, convert
from shared.data.samples import LARGEST
from shared.measure import predictions
from tests.images import declared
from tests.images.litert import litert_models as models
from tests.images.sample_folders import save_samples

FILTERS = 2048


def wide() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(FILTERS, 1, activation="relu")(image)
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def test_predictions_are_made_in_a_batch_that_fits(tmp_path: Path, out: Path, monkeypatch):
    """The image, a feature map of half a megabyte, its mean, and ten answers; the weights are not a sample's."""
    models.save(wide, tmp_path / "keras.fp32")
    (tmp_path / "litert.fp32").mkdir()
    convert.run(tmp_path / "keras.fp32", tmp_path / "litert.fp32")
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3)).astype(np.uint8)
    data = save_samples(tmp_path / "dataset", pixels)
    sample_bytes = computed_bytes.per_sample(tmp_path / "litert.fp32", data)
    exact = 4 * (64 * FILTERS + FILTERS + 192 + 10)
    assert exact <= sample_bytes < 1.1 * exact
    declared.call("litert", "predict", tmp_path / "litert.fp32", data, out, batch_size=20)
    whole = np.load(out / "output_0.npy")
    assert predictions.batch_size(out) == predictions.BatchSize(20, sample_bytes)
    monkeypatch.setattr("shared.data.samples.COMPUTED", 3 * sample_bytes / LARGEST)
    declared.call("litert", "predict", tmp_path / "litert.fp32", data, out, batch_size=20)
    assert predictions.batch_size(out).samples == 3
    np.testing.assert_allclose(np.load(out / "output_0.npy"), whole, rtol=1e-5, atol=1e-3)
