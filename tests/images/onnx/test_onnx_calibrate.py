"""Calibration gives ONNX Runtime's ranges, independent of the batch size, in memory that doesn't grow with
the samples.
"""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator

from images.onnx.quantize import calibrate
from images.onnx.quantize.calibrate import METHODS, compute_ranges
from images.onnx.quantize.histogram import BLOCK, Histogram
from images.onnx.quantize.recipe import QUANTIZABLE
from shared.errors import CrossquantError, Unsupported
from tests.images import models
from tests.images.peak_memory import measure_peak

MEGABYTE = 1 << 20
CHANNELS = 64  # of the convolution whose output is calibrated
CALIBRATE = """
from images.onnx.quantize.calibrate import compute_ranges
model, calibration, method = arguments
compute_ranges(Path(model), Path(calibration), method, 99.99, scratch)
"""


def ranges_of_stage(model: Path, images: np.ndarray, method: str, folder: Path, percentile: float = 99.99) -> dict:
    """Return (low, high) by tensor."""
    np.save(folder / "input_0.npy", images)
    tensor_ranges = compute_ranges(model / models.FILE, folder, method, percentile, folder)
    return {name: tuple(float(np.squeeze(limit)) for limit in data.range_value) for name, data in tensor_ranges.items()}


def ranges_of_onnx_runtime(model: Path, images: np.ndarray, method: str, folder: Path) -> dict:
    """Return the ranges of ONNX Runtime's own calibrator, given all images at once."""

    class All(CalibrationDataReader):
        batches = iter([{"image": images}])

        def get_next(self) -> dict | None:
            return next(self.batches, None)

    calibrator = create_calibrator(
        model / models.FILE,
        QUANTIZABLE,
        str(folder / "augmented.onnx"),
        METHODS[method],
        extra_options={"percentile": 99.99},
    )
    calibrator.collect_data(All())
    tensor_ranges = calibrator.compute_data()
    return {name: tuple(float(np.squeeze(limit)) for limit in data.range_value) for name, data in tensor_ranges.items()}


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "distribution"])
def test_the_ranges_are_those_of_onnx_runtimes_calibrator(method: str, tmp_path: Path):
    """130 images, in batches with a short last one, give the same ranges as all at once."""
    model, images = models.convolutional(tmp_path / "model"), models.images(130)
    ours, theirs = (make(model, images, method, tmp_path) for make in (ranges_of_stage, ranges_of_onnx_runtime))
    assert ours.keys() == theirs.keys()
    for name, limits in theirs.items():
        bin_ = 2 * max(map(abs, limits)) / calibrate.BINS.get(method, 2048)
        np.testing.assert_allclose(ours[name], limits, rtol=1e-5, atol=bin_, err_msg=name)


def test_the_moving_average_is_the_mean_of_the_batches_extremes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibrate, "BATCH", 2)
    images = np.zeros((6, *models.SHAPE), np.float32)
    images[:, 0, 0, 0] = [10, 20, 30, 5, 60, 50]
    ranges = ranges_of_stage(models.convolutional(tmp_path / "model"), images, "moving_average", tmp_path)
    assert ranges["image"] == pytest.approx((0, (20 + 30 + 60) / 3))


@pytest.mark.parametrize("absolute", [True, False])
def test_a_histogram_is_numpys(absolute: bool):
    values = np.random.default_rng(0).normal(size=(3, BLOCK)).astype(np.float32)
    least, greatest = float(values.min()), float(values.max())
    histogram = Histogram.empty(64, least, greatest, absolute)
    for row in values:
        histogram.add(row)
    counted = np.abs(values) if absolute else values
    counts, edges = np.histogram(counted, 64, (histogram.low, histogram.high))
    assert np.abs(histogram.counts - counts).max() <= 2  # a value on an edge may be on either side
    assert histogram.counts.sum() == values.size
    np.testing.assert_allclose(histogram.edges, edges, rtol=1e-6)


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "moving_average", "distribution"])
def test_a_tensor_of_zeros_has_a_range(method: str, tmp_path: Path):
    images = np.zeros((7, *models.SHAPE), np.float32)
    ranges = ranges_of_stage(models.convolutional(tmp_path / "model"), images, method, tmp_path)
    assert np.isfinite(ranges["image"]).all()


def test_a_model_of_a_fixed_batch_is_not_calibrated(tmp_path: Path):
    with pytest.raises(Unsupported, match=r"^the model takes batches of 4 alone, which can't be calibrated: "):
        ranges_of_stage(models.by_place(tmp_path / "model"), models.images(10), "minmax", tmp_path)


def test_a_model_without_an_operator_that_is_quantized(tmp_path: Path):
    """As a forest of trees has none."""
    node = helper.make_node("Neg", ["image"], ["answer"])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *models.SHAPE]) for name in ("image", "answer")
    ]
    graph = helper.make_graph([node], "model", ends[:1], ends[1:])
    folder = tmp_path / "model"
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    with pytest.raises(Unsupported, match=r"^the model has no operator that ONNX Runtime quantizes$"):
        ranges_of_stage(folder, models.images(5), "minmax", tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_images_with_nan_or_infinity_are_named(bad: float, tmp_path: Path):
    images = models.images(130)
    images[107, 3, 3, 1] = bad
    with pytest.raises(CrossquantError, match=r"^calibration sample 107 has NaN or infinity: fix it or leave it out$"):
        ranges_of_stage(models.convolutional(tmp_path / "model"), images, "minmax", tmp_path)


def test_a_calibration_set_without_images_is_an_error(tmp_path: Path):
    with pytest.raises(CrossquantError, match=r"^the calibration set is empty: raise calibration.images$"):
        ranges_of_stage(models.convolutional(tmp_path / "model"), models.images(1)[:0], "minmax", tmp_path)


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_a_model_that_overflows_is_an_error(method: str, tmp_path: Path):
    graph = models.Graph()
    graph.add("Transpose", perm=[0, 3, 1, 2])
    for _ in range(2):
        graph.add("Mul", graph.given(np.float32(1e30)))
    graph.convolution(3, 4)
    graph.add("Flatten")
    graph.dense(256, 10)
    with pytest.raises(CrossquantError, match=r"^the float model gives NaN or infinity at Mul_\d: check the weights"):
        ranges_of_stage(graph.save(tmp_path / "model"), models.images(5), method, tmp_path)


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_memory_does_not_grow_with_the_images(method: str, tmp_path: Path):
    """Kept, the activations of 10,000 images would take 160 MB a tensor, of which there are four."""
    model, peaks = models.wide(tmp_path / "model", CHANNELS), []
    for repetitions in (10, 100):
        np.save(tmp_path / "input_0.npy", np.tile(models.images(100), (repetitions, 1, 1, 1)))
        peaks.append(measure_peak(CALIBRATE, model / models.FILE, tmp_path, method))
    assert peaks[1] < peaks[0] + 16 * MEGABYTE
