"""Boxes with classes: COCO's mean average precision over IoU 0.50 to 0.95, and at 0.50."""

from dataclasses import replace

from driver.analysis import weighted_detection
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from shared import detection, detector_outputs
from shared.data.samples import Array
from shared.detector_outputs import Detection


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    assert output.labels is not None
    options, parts, classes = read_options(output), read_parts(output), len(output.about.classes)
    if output.logits is not None:  # the reference tells
        options = detection.choose_activation(options, output.logits)
    rankings = detection.rank_detections(detection.decode_outputs(options, parts, classes), output.labels)
    return {
        "coco_map": weighted_detection.mean_average_precision(rankings, len(output.labels)),
        "map50": weighted_detection.mean_average_precision(rankings, len(output.labels), thresholds=1),
    }


def read_options(output: EvaluatedOutput) -> Detection:
    """How boxes and scores are to be read, of which these are the first and the second output."""
    assert output.about.detection is not None  # the stage `data` writes it for the task
    return replace(output.about.detection, boxes=0, scores=1)


def read_parts(output: EvaluatedOutput) -> tuple[Array, Array]:
    assert output.boxes is not None
    return output.boxes, output.outputs


def check(output: EvaluatedOutput) -> None:
    detector_outputs.check_outputs(read_options(output), read_parts(output), output.labels, len(output.about.classes))


METRICS = TaskMetrics(compute, check)
