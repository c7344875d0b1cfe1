"""A batch fits in memory together with what OpenVINO computes of its samples."""

from pathlib import Path

import numpy as np
import pytest

from images.openvino import computed_bytes, convert
from images.openvino.session import ONNX_FILE, read_model
from images.openvino.validation import Validation
from shared.data.samples import LARGEST
from shared.measure import predictions
from tests.images import declared
from tests.images.openvino.stages import read_inputs
from tests.images.sample_folders import save_samples


@pytest.fixture
def data(models: Path, tmp_path: Path) -> Path:
    arrays = read_inputs(models / "convolutional")
    return save_samples(tmp_path / "dataset", *(np.concatenate([array] * 20)[:20] for array in arrays))


def test_predictions_are_made_in_a_batch_that_fits(
    models: Path, data: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    variant = tmp_path / "openvino.fp32"
    variant.mkdir()
    convert.run(models / "convolutional", variant)
    each = computed_bytes.per_sample(variant, data)
    assert each == computed_bytes.per_sample_of_model(read_model(models / "convolutional" / ONNX_FILE), data)
    assert each > 4 * np.load(data / "input_0.npy")[0].size
    declared.call("openvino", "predict", variant, data, out, batch_size=15)
    whole = np.load(out / "output_0.npy")
    assert predictions.batch_size(out) == predictions.BatchSize(15, each)
    monkeypatch.setattr("shared.data.samples.COMPUTED", 4 * each / LARGEST)
    declared.call("openvino", "predict", variant, data, out, batch_size=15)
    assert predictions.batch_size(out).samples == 4
    np.testing.assert_allclose(np.load(out / "output_0.npy"), whole, atol=1e-6)
    model = lambda batch: (np.zeros((len(batch[0]), 10), np.float32),)  # noqa: E731
    assert [len(item) for item in Validation(data, model, 3, each).items] == [4] * 5


def test_weights_are_not_counted_and_batches_are(models: Path, data: Path):
    model = read_model(models / "convolutional" / ONNX_FILE)
    one, two, four = (
        computed_bytes.count_bytes(model, (np.zeros((n, *np.load(data / "input_0.npy").shape[1:])),)) for n in (1, 2, 4)
    )
    assert two - one == computed_bytes.per_sample_of_model(model, data)
    assert four - two == 2 * (two - one)


def test_a_model_of_a_fixed_batch_takes_what_it_takes(models: Path, data: Path):
    assert computed_bytes.per_sample_of_model(read_model(models / "by_place" / ONNX_FILE), data) == 0
