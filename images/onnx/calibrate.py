"""The ranges of a graph's tensors over the calibration samples, in memory that doesn't grow with their number."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import HistogramCollector, MinMaxCalibrater, TensorsData

from images.onnx.histogram import Histogram
from images.onnx.recipe import QUANTIZABLE
from images.onnx.session import batch_of, feed, open_session
from shared import calibrating, fixed_batch, samples, threads
from shared.errors import CrossquantError
from shared.progress import report
from shared.refusals import refusals
from shared.samples import LARGEST_KEPT, Array, batches

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "moving_average": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
    "distribution": CalibrationMethod.Distribution,
}
BATCH = 100  # samples for the first pass, which gives two numbers a tensor
BATCH_WHOLE = 25  # samples for the second, which gives whole tensors
BINS = {"entropy": 128, "percentile": 2048, "distribution": 2048}  # as ONNX Runtime's `create_calibrator` has them
QUANTIZED_BINS = 128


def ranges(model: Path, calibration: Path, method: str, percentile: float, scratch: Path) -> TensorsData:
    """The range of every tensor that could be quantized, by ONNX Runtime's calibrator `method`.

    CrossquantError where `calibration` is empty, or it or a tensor has NaN or infinity. Unsupported for a fixed batch.
    """
    fixed_batch.refuse(batch_of(onnx.load(model).graph))
    calibrating.check(calibration)
    copy = scratch / "calibrated.onnx"  # ONNX Runtime writes beside it, and an input may be read-only
    shutil.copyfile(model, copy)
    with refusals("ONNX Runtime can't calibrate this model", "onnxruntime"):
        calibrator = MinMaxCalibrater(copy, QUANTIZABLE, str(scratch / "ranges.onnx"))
        calibrator.moving_average = method == "moving_average"
        inferred = onnx.shape_inference.infer_shapes(onnx.load(copy))
        tensors, values = calibrator.select_tensors_to_calibrate(inferred)
        extremes = minmax(calibrator, calibration)
    check_finite(extremes, inferred.graph)
    if method in ("minmax", "moving_average"):
        return extremes
    exposed = expose(copy, [values[name] for name in sorted(tensors)], scratch / "exposed.onnx")
    return thresholds(histograms(exposed, calibration, method, extremes), extremes, method, percentile)


class Once(CalibrationDataReader):
    """One batch, once: `collect_data` keeps what it is given until its reader ends."""

    def __init__(self, batch: dict[str, Array]) -> None:
        self.batches: Iterator[dict[str, Array]] = iter([batch])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.batches, None)


def minmax(calibrator: MinMaxCalibrater, calibration: Path) -> TensorsData:
    """The extremes over all samples, or, with `moving_average`, the mean of the batches' extremes."""
    calibrator.augment_graph()
    # not `create_inference_session`: that one takes every core of the host
    calibrator.infer_session = open_session(Path(calibrator.augmented_model_path), threads.allowed())
    for step, batch in enumerate(batches(calibration, samples.fitting(calibration, BATCH, LARGEST_KEPT)), start=1):
        calibrator.averaging_constant = 1 / step
        calibrator.collect_data(Once(feed(calibrator.infer_session, batch)))
    found = calibrator.compute_data()
    return TensorsData(found.calibration_method, {tensor: found[tensor] for tensor in sorted(found)})


def check_finite(found: TensorsData, graph: onnx.GraphProto) -> None:
    for tensor in (name for node in graph.node for name in node.output if name in found):
        if not np.isfinite(found[tensor].range_value).all():
            raise CrossquantError(f"the float model answers NaN or infinity at {tensor}: look at the weights before it")


def expose(model: Path, values: list[onnx.ValueInfoProto], target: Path) -> onnxruntime.InferenceSession:
    """The model with these tensors as further outputs."""
    exposed = onnx.load(model)
    known = {item.name for item in (*exposed.graph.output, *exposed.graph.input)}
    exposed.graph.output.extend(value for value in values if value.name not in known)
    onnx.save(exposed, target)
    return open_session(target, threads.allowed())


def histograms(
    session: onnxruntime.InferenceSession, calibration: Path, method: str, extremes: TensorsData
) -> dict[str, Histogram]:
    # ONNX Runtime's percentile is of magnitudes
    found = {
        tensor: Histogram.empty(BINS[method], *map(float, map(np.squeeze, data.range_value)), method == "percentile")
        for tensor, data in extremes.items()
    }
    given = [item.name for item in session.get_outputs()]
    total, done = samples.count(calibration), 0
    for batch in batches(calibration, samples.fitting(calibration, BATCH_WHOLE, LARGEST_KEPT)):
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
