"""The metrics of each task, computed from a variant's outputs: one module a task."""

from driver.analysis.tasks import (
    classification,
    detection,
    embedding,
    fidelity,
    forecasting,
    multilabel,
    reconstruction,
    regression,
    segmentation,
    tagging,
)
from driver.analysis.tasks.base import TaskMetrics

TASK_METRICS: dict[str, TaskMetrics] = {
    "classification": classification.METRICS,
    "multilabel": multilabel.METRICS,
    "regression": regression.METRICS,
    "forecasting": forecasting.METRICS,
    "segmentation": segmentation.METRICS,
    "tagging": tagging.METRICS,
    "detection": detection.METRICS,
    "reconstruction": reconstruction.METRICS,
    "embedding": embedding.METRICS,
    "fidelity": fidelity.METRICS,
}
