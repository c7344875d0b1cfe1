"""Computes the ranges of tensors over the calibration samples, in memory that doesn't grow with their number."""

from functools import reduce
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import HistogramCollector, MinMaxCalibrater, TensorsData

from images.onnx import computed_bytes
from images.onnx.graph import unique_names
from images.onnx.quantize.histogram import Histogram
from images.onnx.quantize.recipe import QUANTIZABLE
from images.onnx.session import build_feed, fixed_batch_size, open_session
from shared.data import calibration_batches, samples
from shared.data.samples import LARGEST_KEPT, Array, batches
from shared.errors import CrossquantError, Unsupported
from shared.measure import fixed_batch
from shared.refusals import refusals
from shared.runner import threads
from shared.runner.progress import report

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "moving_average": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
    "distribution": CalibrationMethod.Distribution,
}
BATCH = 100  # samples in the first pass, which gives two numbers per tensor; a moving average is over so many
HISTOGRAM_BATCH = 25  # samples in the second pass, which gives whole tensors
BINS = {"entropy": 128, "percentile": 2048, "distribution": 2048}  # the defaults of ONNX Runtime's `create_calibrator`
QUANTIZED_BINS = 128
MIN_SUFFIX, MAX_SUFFIX = "_ReduceMin", "_ReduceMax"  # ONNX Runtime appends them to a tensor's name

Extremes = dict[str, tuple[Array, Array]]


def compute_ranges(model: Path, calibration: Path, method: str, percentile: float, scratch: Path) -> TensorsData:
    """Compute the range of every quantizable tensor with ONNX Runtime's calibration `method`.

    CrossquantError if `calibration` is empty, or a sample or a tensor has NaN or infinity. Unsupported for a fixed
    batch.
    """
    fixed_batch.refuse(fixed_batch_size(onnx.load(model).graph))
    calibration_batches.check(calibration)
    marked, mark = unique_names.mark_names(onnx.load(model))  # the calibrator derives names from existing ones
    copy = scratch / "calibrated.onnx"
    onnx.save(marked, copy)
    with refusals("ONNX Runtime can't calibrate this model", "onnxruntime"):
        calibrator = MinMaxCalibrater(copy, QUANTIZABLE, str(scratch / "ranges.onnx"))
        inferred = onnx.shape_inference.infer_shapes(onnx.load(copy))
        tensors, values = calibrator.select_tensors_to_calibrate(inferred)
        if not tensors:
            raise Unsupported("the model has no operator that ONNX Runtime quantizes")
        sample_bytes = computed_bytes.per_sample_of_file(copy, calibration, tensors)
        tensor_ranges = observe_extremes(calibrator, calibration, sample_bytes, averaged=method == "moving_average")
    check_finite(tensor_ranges, inferred.graph, mark)
    if method not in ("minmax", "moving_average"):
        exposed = open_exposed(copy, [values[name] for name in sorted(tensors)], scratch / "exposed.onnx")
        tensor_ranges = compute_thresholds(
            build_histograms(exposed, calibration, method, tensor_ranges, sample_bytes),
            tensor_ranges,
            method,
            percentile,
        )
    return TensorsData(
        tensor_ranges.calibration_method, {name.removesuffix(mark): tensor_ranges[name] for name in tensor_ranges}
    )


def observe_extremes(
    calibrator: MinMaxCalibrater, calibration: Path, sample_bytes: int, *, averaged: bool
) -> TensorsData:
    """Compute the extremes over all samples or, if `averaged`, the mean of the extremes of each BATCH samples.

    `each` is the number of bytes of a sample's observed tensors. ONNX Runtime keeps them all until a batch ends, so
    fewer than BATCH samples may run at a time; the result is the same.
    """
    calibrator.augment_graph()
    # not `create_inference_session`, which takes every core of the host
    session = open_session(Path(calibrator.augmented_model_path), threads.allowed(), low_memory=True)
    names = [item.name for item in session.get_outputs()]
    names = [name for name in names if name.removesuffix(MIN_SUFFIX).removesuffix(MAX_SUFFIX) != name]
    size, total = samples.fitting(calibration, BATCH, LARGEST_KEPT, sample_bytes), samples.count(calibration)

    def extremes(start: int, end: int) -> Extremes:
        arrays = dict(
            zip(
                names,
                session.run(names, build_feed(session, samples.take(calibration, slice(start, end)))),
                strict=True,
            )
        )
        tensors = sorted(name.removesuffix(MIN_SUFFIX) for name in names if name.endswith(MIN_SUFFIX))
        return {tensor: (arrays[tensor + MIN_SUFFIX], arrays[tensor + MAX_SUFFIX]) for tensor in tensors}

    total_extremes: Extremes = {}
    for step, first in enumerate(range(0, total, BATCH), start=1):
        last = min(first + BATCH, total)
        group = reduce(merge_extremes, (extremes(start, min(start + size, last)) for start in range(first, last, size)))
        total_extremes = (
            group
            if not total_extremes
            else update_mean(total_extremes, group, 1 / step)
            if averaged
            else merge_extremes(total_extremes, group)
        )
        report(last, total)
    return TensorsData(CalibrationMethod.MinMax, dict(total_extremes))


def merge_extremes(one: Extremes, other: Extremes) -> Extremes:
    """Merge two sets of extremes; NaN if either is NaN."""
    return {
        name: (np.minimum(low, other[name][0]), np.maximum(high, other[name][1])) for name, (low, high) in one.items()
    }


def update_mean(mean: Extremes, group: Extremes, weight: float) -> Extremes:
    """Add one group to the mean with this weight, as ONNX Runtime does."""

    def step(old: Array, new: Array) -> Array:
        return old + weight * (new - old)

    return {name: (step(low, group[name][0]), step(high, group[name][1])) for name, (low, high) in mean.items()}


def check_finite(tensor_ranges: TensorsData, graph: onnx.GraphProto, mark: str) -> None:
    """Raise CrossquantError that names the first tensor with a NaN or infinite range."""
    for tensor in (name for node in graph.node for name in node.output if name in tensor_ranges):
        if not np.isfinite(tensor_ranges[tensor].range_value).all():
            where = tensor.removesuffix(mark)
            raise CrossquantError(f"the float model gives NaN or infinity at {where}: check the weights before it")


def open_exposed(model: Path, values: list[onnx.ValueInfoProto], target: Path) -> onnxruntime.InferenceSession:
    """Open the model with these tensors as additional outputs."""
    exposed = onnx.load(model)
    present = {item.name for item in (*exposed.graph.output, *exposed.graph.input)}
    exposed.graph.output.extend(value for value in values if value.name not in present)
    onnx.save(exposed, target)
    return open_session(target, threads.allowed(), low_memory=True)


def build_histograms(
    session: onnxruntime.InferenceSession, calibration: Path, method: str, extremes: TensorsData, sample_bytes: int
) -> dict[str, Histogram]:
    """Count every tensor's values in bins that are fixed beforehand, so that the batch size doesn't matter."""
    magnitudes = method == "percentile"  # ONNX Runtime takes the percentile of magnitudes
    by_tensor = {}
    for tensor, data in extremes.items():
        least, greatest = (float(np.squeeze(value)) for value in data.range_value)
        by_tensor[tensor] = Histogram.empty(BINS[method], least, greatest, magnitudes)
    output_names = [item.name for item in session.get_outputs()]
    total, done = samples.count(calibration), 0
    for batch in batches(calibration, samples.fitting(calibration, HISTOGRAM_BATCH, LARGEST_KEPT, sample_bytes)):
        feed_inputs = build_feed(session, batch)
        values = feed_inputs | dict(zip(output_names, session.run(None, feed_inputs), strict=True))
        for tensor, histogram in by_tensor.items():
            histogram.add(values[tensor])
        done += len(batch[0])
        report(done, total)
    return by_tensor


def compute_thresholds(
    by_tensor: dict[str, Histogram], extremes: TensorsData, method: str, percentile: float
) -> TensorsData:
    """Compute the ranges from the histograms with ONNX Runtime's own algorithm."""
    collector = HistogramCollector(method, method == "percentile", BINS[method], QUANTIZED_BINS, percentile, "same")
    collector.histogram_dict = {
        tensor: (histogram.counts, histogram.edges, *map(np.squeeze, extremes[tensor].range_value), histogram.high)
        for tensor, histogram in by_tensor.items()
    }
    return TensorsData(METHODS[method], collector.compute_collection_result())
