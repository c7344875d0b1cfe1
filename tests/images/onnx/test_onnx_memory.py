"""The stages fit into the memory that there is, even if the model computes much from a small sample."""

from pathlib import Path

import numpy as np
import pytest

from images.onnx import computed_bytes, quantize
from images.onnx.quantize import calibrate, outliers
from images.onnx.quantize.calibrate import METHODS, compute_ranges
from images.onnx.sensitivity import ablation
from shared.data import samples
from shared.data.samples import COMPUTED, LARGEST_KEPT
from shared.errors import CrossquantError
from shared.measure import predictions
from tests.images import declared, models
from tests.images.onnx import quantizing
from tests.images.peak_memory import measure_peak
from tests.images.sample_folders import save_samples

CHANNELS = 16384  # of the wide convolution: 4 MB a sample, made by 200 KB of weights
WIDE = 2 * 4 * CHANNELS * 64  # bytes of a sample: what the convolution gives, and the Relu behind it
IMAGES = 100
CALLS = {
    **{
        method: (
            "from images.onnx.quantize.calibrate import compute_ranges\n"
            f"compute_ranges(*map(Path, arguments), '{method}', 99.99, scratch)"
        )
        for method in METHODS
    },
    "outliers": (
        "from images.onnx.quantize.outliers import drop_outliers\ndrop_outliers(*map(Path, arguments), 10.0, scratch)"
    ),
    "predict": (
        "from tests.images import declared\n"
        "declared.call('onnx', 'predict', Path(arguments[0]).parent, Path(arguments[1]), scratch)"
    ),
}


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    return save_samples(tmp_path / "calibration", models.images(IMAGES))


@pytest.mark.parametrize("way", [*CALLS])
def test_much_that_is_computed_of_little_fits(way: str, calibration: Path, tmp_path: Path):
    """With batches chosen by the size of the inputs, all 100 samples would be observed together: 0.8 GB and more."""
    little = measure_peak(CALLS[way], models.wide(tmp_path / "little", 16) / models.FILE, calibration)
    much = measure_peak(CALLS[way], models.wide(tmp_path / "much", CHANNELS) / models.FILE, calibration)
    limit = COMPUTED * LARGEST_KEPT * (4 if way == "predict" else 1)
    assert much - little < min(2.5 * limit, 1.5 * IMAGES * WIDE if way == "predict" else IMAGES * WIDE)


def test_what_is_computed_of_a_sample_is_known_to_the_byte(calibration: Path, tmp_path: Path):
    """Mul and Transpose of the image, convolution and Relu, their mean twice, ten answers."""
    sample_bytes = computed_bytes.per_sample(models.wide(tmp_path / "model", CHANNELS), calibration)
    assert sample_bytes == WIDE + 4 * (2 * 192 + 2 * CHANNELS + 10)


def test_of_a_quantized_file_codes_are_counted_and_weights_are_not(calibration: Path, out: Path, tmp_path: Path):
    model = models.wide(tmp_path / "model", 1024)
    quantizing.run(model, calibration, out, **quantizing.RECIPES["u8s8"])
    exact, quantized = (computed_bytes.per_sample(folder, calibration) for folder in (model, out))
    assert exact / 2 < quantized < 1.5 * exact


def test_a_model_of_a_fixed_batch_takes_what_it_takes(calibration: Path, tmp_path: Path):
    assert computed_bytes.per_sample(models.by_place(tmp_path / "model"), calibration) == 0


def test_the_tensors_of_a_shape_that_only_the_data_tell_are_counted(calibration: Path, tmp_path: Path):
    """No inference of shapes knows (batch, pixels, 3)."""
    assert computed_bytes.per_sample(models.two_unknown(tmp_path / "model"), calibration) >= models.images(1).nbytes


def record_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the sizes of all batches that are read from now on, except the two samples that measure sizes."""
    batch_sizes: list[int] = []
    take = samples.take

    def take_and_record(folder: Path, where: slice) -> samples.Batch:
        batch = take(folder, where)
        batch_sizes.append(len(batch[0]))
        return batch

    monkeypatch.setattr(samples, "take", take_and_record)
    return batch_sizes


@pytest.mark.parametrize("method", [*METHODS])
def test_the_batch_is_what_there_is_room_for(
    method: str, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batch_sizes = record_batch_sizes(monkeypatch)
    compute_ranges(models.wide(tmp_path / "model", CHANNELS) / models.FILE, calibration, method, 99.99, tmp_path)
    fits = COMPUTED * LARGEST_KEPT // (WIDE + 4 * (2 * 192 + 2 * CHANNELS + 10))
    assert fits in batch_sizes and set(batch_sizes) <= {1, IMAGES, fits, IMAGES % fits, calibrate.HISTOGRAM_BATCH}


@pytest.mark.parametrize("method", [*METHODS])
def test_ranges_are_the_same_in_batches_of_any_size(
    method: str, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A moving average too: it is of 100 samples at a time, however few of them are in memory."""
    np.save(calibration / "input_0.npy", models.images(230))
    model, all_ranges = models.convolutional(tmp_path / "model") / models.FILE, []
    sample_bytes = computed_bytes.per_sample_of_file(model, calibration)
    for together in (1000, 7, 1):
        monkeypatch.setattr(samples, "COMPUTED", together * sample_bytes / LARGEST_KEPT)
        ranges = compute_ranges(model, calibration, method, 99.99, tmp_path)
        all_ranges.append({name: [float(np.squeeze(end)) for end in data.range_value] for name, data in ranges.items()})
    for other in all_ranges[1:]:
        for name, limits in all_ranges[0].items():
            np.testing.assert_allclose(other[name], limits, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("place", [3, 150])
@pytest.mark.parametrize("method", ["minmax", "moving_average"])
def test_nan_in_any_batch_is_reported(method: str, place: int, calibration: Path, tmp_path: Path):
    """ONNX Runtime's own merging of ranges drops a NaN after the first batch."""
    images = models.images(200)
    images[place] = 1e38
    np.save(calibration / "input_0.npy", images)
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    huge = graph.add("Mul", graph.given(np.float32(1e10)))
    graph.add("Sub", huge, source=huge)
    graph.convolution(3, 4)
    graph.add("Flatten")
    graph.dense(256, 10)
    with pytest.raises(CrossquantError, match=r"^the float model gives NaN or infinity at "):
        compute_ranges(graph.save(tmp_path / "model") / models.FILE, calibration, method, 99.99, tmp_path)


def test_outliers_and_explanations_take_batches_that_fit(
    calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = models.convolutional(tmp_path / "model")
    sample_bytes = computed_bytes.per_sample_of_file(model / models.FILE, calibration)
    monkeypatch.setattr(samples, "COMPUTED", 8 * sample_bytes / LARGEST_KEPT)
    outliers.drop_outliers(model / models.FILE, calibration, 1e9, tmp_path)
    (tmp_path / "onnx.u8s8").mkdir()
    quantize.run(model, model, calibration, tmp_path / "onnx.u8s8", **quantizing.DEFAULTS | quantizing.RECIPES["u8s8"])
    files = [folder / models.FILE for folder in (model, tmp_path / "onnx.u8s8")]
    explained = ablation.Ablation(*files, ablation.Subset(calibration, 20), tmp_path)
    assert [len(batch[0]) for batch in explained.batches()] == [4] * 5


def test_predictions_tell_their_batch(calibration: Path, out: Path, tmp_path: Path):
    model = models.wide(tmp_path / "model", CHANNELS)
    declared.call("onnx", "predict", model, calibration, out, batch_size=250)
    sample_bytes = computed_bytes.per_sample(model, calibration)
    assert predictions.batch_size(out) == predictions.BatchSize(
        COMPUTED * samples.LARGEST // sample_bytes, sample_bytes
    )
