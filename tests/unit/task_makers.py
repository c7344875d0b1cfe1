"""Volumes of every task but the usual one: a few hundred made-up samples, and answers that are more or less near."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import detections
import numpy as np
from evidence_makers import ORDER, Volume, default_experiment, evaluate

from driver.analysis.results import Comparison
from driver.comparison import compare
from driver.experiment.model import Bound, Gates
from shared.data.samples import IGNORED

SAMPLES, LABELS = 400, 6
# of each variant the noise that its outputs have above the reference's, as a share of their standard deviation
NOISE = dict(zip(ORDER[:-1], (0.0, 1e-7, 2e-7, 0.4, 0.02, 0.01, 0.03, 0.05), strict=True))
SIZES = {"keras.fp32": 425_584, "onnx.fp32": 317_545, "torch.fp32": 320_117}
SECONDS = dict(zip(ORDER[:-1], (8e-4, 2.3e-4, 6e-4, 3e-4, 2.6e-4, 1.3e-4, 2.4e-4, 2.3e-4), strict=True))
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Case:
    """A test set and a model: `outputs` of the reference, of which the first is judged."""

    about: dict[str, Any]
    inputs: Arrays
    labels: np.ndarray | None
    outputs: Arrays


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def regression() -> Case:
    """Two inputs, two outputs; the second one is an embedding that nobody judges."""
    features = random(1).normal(size=(SAMPLES, 8)).astype(np.float32)
    exact = (features.sum(axis=1, keepdims=True) + 3).astype(np.float32)
    predicted = exact + random(2).normal(0, 0.5, exact.shape).astype(np.float32)
    about = {"name": "houses", "task": "regression", "unit": "rows"}
    return Case(about, (features, features[:, :2]), exact, (predicted, np.tanh(features[:, :4])))


def multilabel(logits: bool = False) -> Case:
    positive = random(3).random((SAMPLES, LABELS)) < np.linspace(0.05, 0.5, LABELS)
    scores = random(4).normal(size=positive.shape) + 2.0 * positive - 1
    predicted = scores if logits else 1 / (1 + np.exp(-scores))
    names = ["rain", "snow", "fog", "wind", "sun", "hail"]
    about = {"name": "weather", "task": "multilabel", "classes": names}
    inputs = random(5).integers(0, 256, (SAMPLES, 8, 8, 3), np.uint8)
    return Case(about, (inputs,), positive.astype(np.uint8), (predicted.astype(np.float32),))


def detection() -> Case:
    """Boxes and logits in two outputs, as an SSD has them."""
    anchors, boxes, scores, labels = detections.make_detector("ssd", SAMPLES)
    options = {"decoder": "ssd", "normalized": True, "background": True, "anchors": anchors}
    about = {"name": "street", "task": "detection", "classes": ["car", "bus", "tram"], "detection": options}
    return Case(about, (random(11).integers(0, 256, (SAMPLES, 8, 8, 3), np.uint8),), labels, (boxes, scores))


def reconstruction(labelled: bool = True) -> Case:
    """Sound samples are given back nearly; a tenth is not."""
    anomalous = random(6).random(SAMPLES) < 0.1
    inputs = random(7).normal(size=(SAMPLES, 16, 3)).astype(np.float32)
    error = random(8).normal(size=inputs.shape) * np.where(anomalous, 0.2, 0.12)[:, None, None]
    about = {"name": "machine", "task": "reconstruction", "unit": "windows"}
    labels = anomalous.astype(np.uint8) if labelled else None
    return Case(about, (inputs,), labels, ((inputs + error).astype(np.float32),))


def embedding(pairs: bool = False) -> Case:
    """A hundred labels of four samples each, but for two samples without a mate; or pairs, whose scores have ties."""
    inputs = random(11).normal(size=(SAMPLES, 7)).astype(np.float32)
    label = np.arange(SAMPLES) // 2 if pairs else np.arange(SAMPLES) % (SAMPLES // 4)
    centres = random(12).normal(size=(SAMPLES, 8))[label]
    spread = random(14).random((SAMPLES, 1)) if pairs else 1
    outputs = centres + spread * random(13).normal(0, 0.9, centres.shape)
    about = {"name": "faces", "task": "embedding", "unit": "samples"}
    if not pairs:
        label[:2] = 1000, 1001
        return Case(about, (inputs,), label, (outputs.astype(np.float32),))
    lengths = np.linalg.norm(outputs, axis=1)
    cosines = (outputs[::2] * outputs[1::2]).sum(axis=1) / (lengths[::2] * lengths[1::2])
    scores = np.round(5 * (cosines + random(15).normal(0, 0.3, len(cosines))))
    return Case(about, (inputs,), np.stack([label, scores[label]], axis=1), (outputs.astype(np.float32),))


def fidelity() -> Case:
    """No labels; outputs of any rank."""
    inputs = random(9).normal(size=(SAMPLES, 5)).astype(np.float32)
    about = {"name": "unlabelled", "task": "fidelity", "unit": "samples"}
    return Case(about, (inputs,), None, (random(10).normal(size=(SAMPLES, 4, 6)).astype(np.float32),))


def segmentation() -> Case:
    """Masks of three classes; the third is rare, and a border of each mask doesn't count."""
    masks = random(11).choice(3, (SAMPLES, 6, 5), p=(0.6, 0.35, 0.05)).astype(np.int8)
    scores = 2.5 * np.eye(3)[masks] + random(12).normal(size=(*masks.shape, 3))
    masks[:, 0] = IGNORED
    about = {"name": "fields", "task": "segmentation", "unit": "fields", "classes": ["soil", "crop", "weed"]}
    return Case(about, (pictures(SAMPLES),), masks, (softmax(scores),))


def tagging() -> Case:
    """Tags of four kinds; texts end in tokens that don't count."""
    tags = random(13).choice(4, (SAMPLES, 8), p=(0.7, 0.1, 0.1, 0.1)).astype(np.int8)
    scores = 2.0 * np.eye(4)[tags] + random(14).normal(size=(*tags.shape, 4))
    tags[::2, 5:] = IGNORED
    about = {"name": "texts", "task": "tagging", "unit": "texts"}
    return Case(about, (random(15).integers(0, 99, (SAMPLES, 8)),), tags, (softmax(scores),))


def forecasting() -> Case:
    """Six steps of two values: each step is harder than the one before."""
    exact = random(16).normal(size=(SAMPLES, 6, 2)).astype(np.float32)
    error = random(17).normal(size=exact.shape) * np.linspace(0.1, 0.6, 6)[:, None]
    about = {"name": "loads", "task": "forecasting", "unit": "series"}
    return Case(
        about,
        (random(18).normal(size=(SAMPLES, 9, 2)).astype(np.float32),),
        exact,
        ((exact + error).astype(np.float32),),
    )


def pictures(count: int) -> np.ndarray:
    return random(5).integers(0, 256, (count, 8, 8, 3), np.uint8)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


CASES: dict[str, Callable[[], Case]] = {
    "regression": regression,
    "multilabel": multilabel,
    "detection": detection,
    "reconstruction": reconstruction,
    "embedding": embedding,
    "fidelity": fidelity,
    "segmentation": segmentation,
    "tagging": tagging,
    "forecasting": forecasting,
}
GATES = {
    "regression": Gates({"worse_percent": Bound(max=1)}, {"mae": Bound(max=0.5, confidence=0.95)}),
    "multilabel": Gates({"map": Bound(min=0.5)}, {"drop_pp": Bound(max=2.0)}),
    "detection": Gates({"coco_map": Bound(min=0.5)}, {"drop_pp": Bound(max=5.0), "map50": Bound(min=0.5)}),
    "reconstruction": Gates({}, {"auc": Bound(min=0.9), "sqnr": Bound(min=20)}),
    "embedding": Gates({"recall1": Bound(min=0.1, confidence=0.95)}, {"drop_pp": Bound(max=5.0, confidence=0.9)}),
    "fidelity": Gates({"sqnr": Bound(min=100)}, {"sqnr": Bound(min=30), "agreement": Bound(min=0.9)}),
    "segmentation": Gates({"class_iou": Bound(min=0.1)}, {"miou": Bound(min=0.5, confidence=0.95)}),
    "tagging": Gates({"class_f1": Bound(min=0.1)}, {"drop_pp": Bound(max=2.0)}),
    "forecasting": Gates({"step_mae": Bound(max=1.0)}, {"worse_percent": Bound(max=5)}),
}


class TaskVolume(Volume):
    """A run of a `case`, in which each variant has noise of its own."""

    def __init__(self, case: Case, gates: Gates | None = None, **changes: Any) -> None:
        super().__init__(default_experiment(name="own", gates=gates or GATES[case.about["task"]], **changes))
        self.case = case

    def samples(self, sample: bool) -> dict[str, Any]:
        files: dict[str, Any] = {f"input_{number}.npy": each for number, each in enumerate(self.case.inputs)}
        labels = {} if self.case.labels is None else {"labels.npy": self.case.labels}
        return files | labels | {"about.json": self.case.about | {"sample": sample}}

    def found(self, name: str) -> Arrays:
        return tuple(noisy(each, NOISE[name], ORDER.index(name)) for each in self.case.outputs)

    def variant(self, name: str, found: Any, size: int = 0) -> None:
        super().variant(name, found, size or SIZES.get(name, 105_000))

    def latency(self, image: str, *names: str, **changes: Any) -> None:
        fastest = min((SECONDS[name] for name in names), default=1e-3)
        super().latency(image, *names, **{"single": ((fastest, 1.1 * fastest),), **changes})

    def compare(self) -> Comparison:
        return compare.compare(evaluate(self), self.experiment)


def noisy(outputs: np.ndarray, share: float, seed: int) -> np.ndarray:
    noise = random(100 + seed).normal(0, share * float(outputs.std()), outputs.shape)
    return (outputs + noise).astype(np.float32)


def compared(task: str, **changes: Any) -> Comparison:
    """All went well."""
    return replace(_compared(task), **changes)


@cache
def _compared(task: str) -> Comparison:
    return TaskVolume(CASES[task]()).whole().compare()
