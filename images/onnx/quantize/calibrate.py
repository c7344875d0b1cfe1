"""The ranges of a graph's tensors over the calibration samples, in memory that doesn't grow with their number."""

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
from images.onnx.session import batch_of, feed, open_session
from shared.data import calibration_batches, samples
from shared.data.samples import LARGEST_KEPT, Array, batches
from shared.errors import CrossquantError
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
BATCH = 100  # samples for the first pass, which gives two numbers a tensor; a moving average is of so many at a time
BATCH_WHOLE = 25  # samples for the second, which gives whole tensors
BINS = {"entropy": 128, "percentile": 2048, "distribution": 2048}  # as ONNX Runtime's `create_calibrator` has them
QUANTIZED_BINS = 128
LEAST, GREATEST = "_ReduceMin", "_ReduceMax"  # what ONNX Runtime adds to the name of a tensor

Extremes = dict[str, tuple[Array, Array]]


def ranges(model: Path, calibration: Path, method: str, percentile: float, scratch: Path) -> TensorsData:
    """The range of every tensor that could be quantized, by ONNX Runtime's calibrator `method`.

    CrossquantError where `calibration` is empty, or it or a tensor has NaN or infinity. Unsupported for a fixed batch.
    """
    fixed_batch.refuse(batch_of(onnx.load(model).graph))
    calibration_batches.check(calibration)
    marked, mark = unique_names.marked(onnx.load(model))  # the calibrator makes names by adding to those that there are
    copy = scratch / "calibrated.onnx"
    onnx.save(marked, copy)
    with refusals("ONNX Runtime can't calibrate this model", "onnxruntime"):
        calibrator = MinMaxCalibrater(copy, QUANTIZABLE, str(scratch / "ranges.onnx"))
        inferred = onnx.shape_inference.infer_shapes(onnx.load(copy))
        tensors, values = calibrator.select_tensors_to_calibrate(inferred)
        each = computed_bytes.of(copy, calibration, tensors)
        found = minmax(calibrator, calibration, each, averaged=method == "moving_average")
    check_finite(found, inferred.graph, mark)
    if method not in ("minmax", "moving_average"):
        exposed = expose(copy, [values[name] for name in sorted(tensors)], scratch / "exposed.onnx")
        found = thresholds(histograms(exposed, calibration, method, found, each), found, method, percentile)
    return TensorsData(found.calibration_method, {name.removesuffix(mark): found[name] for name in found})


def minmax(calibrator: MinMaxCalibrater, calibration: Path, each: int, *, averaged: bool) -> TensorsData:
    """The extremes over all samples or, `averaged`, the mean of the extremes of each BATCH samples.

    `each` are the bytes of the observed tensors of a sample: ONNX Runtime keeps all of them until the end of a batch,
    which may be smaller than BATCH therefore. The ranges are those of BATCH whatever it is.
    """
    calibrator.augment_graph()
    # not `create_inference_session`: that one takes every core of the host
    session = open_session(Path(calibrator.augmented_model_path), threads.allowed(), observing=True)
    names = [item.name for item in session.get_outputs()]
    names = [name for name in names if name.removesuffix(LEAST).removesuffix(GREATEST) != name]
    size, total = samples.fitting(calibration, BATCH, LARGEST_KEPT, each), samples.count(calibration)

    def extremes(start: int, end: int) -> Extremes:
        arrays = dict(
            zip(names, session.run(names, feed(session, samples.take(calibration, slice(start, end)))), strict=True)
        )
        tensors = sorted(name.removesuffix(LEAST) for name in names if name.endswith(LEAST))
        return {tensor: (arrays[tensor + LEAST], arrays[tensor + GREATEST]) for tensor in tensors}

    found: Extremes = {}
    for step, first in enumerate(range(0, total, BATCH), start=1):
        last = min(first + BATCH, total)
        group = reduce(wider, (extremes(start, min(start + size, last)) for start in range(first, last, size)))
        found = group if not found else moved(found, group, 1 / step) if averaged else wider(found, group)
        report(last, total)
    return TensorsData(CalibrationMethod.MinMax, dict(found))


def wider(one: Extremes, other: Extremes) -> Extremes:
    """NaN where either has it."""
    return {
        name: (np.minimum(low, other[name][0]), np.maximum(high, other[name][1])) for name, (low, high) in one.items()
    }


def moved(mean: Extremes, further: Extremes, share: float) -> Extremes:
    """The mean with one group more, as ONNX Runtime has it."""

    def step(old: Array, new: Array) -> Array:
        return old + share * (new - old)

    return {name: (step(low, further[name][0]), step(high, further[name][1])) for name, (low, high) in mean.items()}


def check_finite(found: TensorsData, graph: onnx.GraphProto, mark: str) -> None:
    for tensor in (name for node in graph.node for name in node.output if name in found):
        if not np.isfinite(found[tensor].range_value).all():
            where = tensor.removesuffix(mark)
            raise CrossquantError(f"the float model answers NaN or infinity at {where}: look at the weights before it")


def expose(model: Path, values: list[onnx.ValueInfoProto], target: Path) -> onnxruntime.InferenceSession:
    """The model with these tensors as further outputs."""
    exposed = onnx.load(model)
    known = {item.name for item in (*exposed.graph.output, *exposed.graph.input)}
    exposed.graph.output.extend(value for value in values if value.name not in known)
    onnx.save(exposed, target)
    return open_session(target, threads.allowed(), observing=True)


def histograms(
    session: onnxruntime.InferenceSession, calibration: Path, method: str, extremes: TensorsData, each: int
) -> dict[str, Histogram]:
    """Counts in bins that are known beforehand: the same for any batch."""
    magnitudes = method == "percentile"  # as ONNX Runtime has it
    found = {}
    for tensor, data in extremes.items():
        least, greatest = (float(np.squeeze(value)) for value in data.range_value)
        found[tensor] = Histogram.empty(BINS[method], least, greatest, magnitudes)
    given = [item.name for item in session.get_outputs()]
    total, done = samples.count(calibration), 0
    for batch in batches(calibration, samples.fitting(calibration, BATCH_WHOLE, LARGEST_KEPT, each)):
        fed = feed(session, batch)
        values = fed | dict(zip(given, session.run(None, fed), strict=True))
        for tensor, histogram in found.items():
            histogram.add(values[tensor])
        done += len(batch[0])
        report(done, total)
    return found


def thresholds(found: dict[str, Histogram], extremes: TensorsData, method: str, percentile: float) -> TensorsData:
    """What ONNX Runtime's own algorithm makes of the histograms."""
    collector = HistogramCollector(method, method == "percentile", BINS[method], QUANTIZED_BINS, percentile, "same")
    collector.histogram_dict = {
        tensor: (histogram.counts, histogram.edges, *map(np.squeeze, extremes[tensor].range_value), histogram.high)
        for tensor, histogram in found.items()
    }
    return TensorsData(METHODS[method], collector.compute_collection_result())
