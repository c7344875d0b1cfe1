"""Which layer loses how much: what `explain` leaves as `layers.json`, and the arithmetic behind it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.contract import encode

FILE = "layers.json"
TINY = float(np.finfo(np.float32).tiny)
Array = NDArray[Any]
Distance = Literal["KL divergence", "noise"]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Error:
    """Of a tensor, quantized against float. `sqnr_db` is None where nothing differs."""

    sqnr_db: float | None
    cosine: float
    max_abs: float


@dataclass(frozen=True)
class Layer:
    """One layer, by the name that `exclude` takes.

    `activation` is the error of its output in the whole quantized model, `weight` that of its weight, if it has one.
    `range` and `clipped` (the share of values beyond the quantized range) are of its float output over the samples.
    `only_*`: the score when nothing else is quantized. `kept`, `kept_kl`: the score of the quantized model with this
    layer alone in float, and the distance of its outputs from the float model's. Sensitivity says which those are.
    """

    name: str
    operator: str
    activation: Error
    weight: Error | None
    range: tuple[float, float]  # least, greatest
    clipped: float
    only_weights: float | None
    only_activations: float
    kept: float
    kept_kl: float


@dataclass(frozen=True)
class Diagnosis:
    """Why a variant loses much: `layer` names the layer that costs most, whose values are in Sensitivity.layers.

    `weights`: its weights lose most; `clipping`: its outputs lie beyond the quantized range; `range`: that range is too
    wide. `everywhere`: activations lose, and no layer much of it alone; `layer` is "" then.
    """

    kind: Literal["weights", "clipping", "range", "everywhere"]
    layer: str = ""


@dataclass(frozen=True)
class Sensitivity:
    """`layers` has the most sensitive first: the one that, kept in float, brings the outputs nearest to float.

    `diagnosis` is why, where the loss is large; an earlier version wrote a sentence in its place, the `cause`.
    `float_kl` is the distance of the fully quantized model's outputs from the float model's. `score` names what stands
    in every place of an accuracy, R² or mAP for example; `distance` what stands in every place of a KL divergence: that
    in nats, or the noise's share of the power.
    """

    variant: str
    images: int
    float_accuracy: float
    quantized_accuracy: float
    weights_only: float
    activations_only: float
    float_kl: float
    cause: str
    layers: tuple[Layer, ...]
    score: str = "accuracy"
    distance: Distance = "KL divergence"
    diagnosis: Diagnosis | None = None

    @property
    def unit(self) -> str:
        """Of the distance."""
        return "nats" if self.distance == "KL divergence" else "share of the power"


def write(sensitivity: Sensitivity, out: Path) -> None:
    (out / FILE).write_text(encode(sensitivity))


@dataclass
class Difference:
    """A tensor against its quantized twin, batch after batch: memory doesn't grow with the number of samples."""

    signal: float = 0.0
    noise: float = 0.0
    product: float = 0.0
    power: float = 0.0
    max_abs: float = 0.0

    def add(self, exact: Array, quantized: Array) -> None:
        """Arrays of one shape; ValueError for others."""
        if exact.shape != quantized.shape:
            raise ValueError(f"tensors of {exact.shape} and {quantized.shape}: give a tensor and its quantized twin")
        known, found = exact.astype(np.float64).ravel(), quantized.astype(np.float64).ravel()
        noise = known - found
        self.signal += float(known @ known)
        self.noise += float(noise @ noise)
        self.product += float(known @ found)
        self.power += float(found @ found)
        self.max_abs = max(self.max_abs, float(np.abs(noise).max(initial=0.0)))

    def error(self) -> Error:
        return Error(sqnr_db(self.signal, self.noise), cosine(self.product, self.signal, self.power), self.max_abs)


def sqnr_db(signal: float, noise: float) -> float | None:
    """10 log10 of the ratio of two powers; None where there is no noise. Without a signal it is that of the tiniest."""
    return float(10 * np.log10(max(signal, TINY) / noise)) if noise else None


def cosine(product: float, one: float, other: float) -> float:
    """Of the angle between two tensors, from their product and their squared lengths; two zeros agree."""
    if not one or not other:
        return float(one == other)
    return float(np.clip(product / np.sqrt(one * other), -1.0, 1.0))


@dataclass
class Extent:
    """The least and the greatest value of a tensor, and how many lie beyond `limits`, batch after batch."""

    limits: tuple[float, float] = (-np.inf, np.inf)
    least: float = np.inf
    greatest: float = -np.inf
    values: int = 0
    beyond: int = 0

    def add(self, tensor: Array) -> None:
        self.least = min(self.least, float(tensor.min(initial=np.inf)))
        self.greatest = max(self.greatest, float(tensor.max(initial=-np.inf)))
        self.values += tensor.size
        low, high = self.limits
        self.beyond += int(np.count_nonzero((tensor < low) | (tensor > high)))

    @property
    def clipped(self) -> float:
        return self.beyond / self.values if self.values else 0.0


@dataclass
class Answers:
    """The outputs of one model for all samples, collected batch after batch: (samples, …)."""

    batches: list[Array] = field(default_factory=list)

    def add(self, outputs: Array) -> None:
        self.batches.append(np.array(outputs, np.float32))

    @property
    def all(self) -> Array:
        return np.concatenate(self.batches)


def divergence(exact: Array, quantized: Array) -> float:
    """Mean Kullback-Leibler divergence in nats of `quantized` from `exact`, both (samples, classes).

    Logits become probabilities by a softmax; probabilities, which may sum to 1 only nearly, are made to.
    """
    logits = is_logits(exact)
    known, found = probabilities(exact, logits), probabilities(quantized, logits)
    return max(0.0, float((known * np.log(known / found)).sum(axis=1).mean()))


def noise_share(exact: Array, quantized: Array) -> float:
    """The power of what differs, as a share of that of `exact`."""
    difference = Difference()
    difference.add(exact, quantized)
    return difference.noise / max(difference.signal, TINY)


def is_logits(outputs: Array) -> bool:
    """Does a row have what no probabilities have: a negative value, or a sum far from 1?"""
    return bool((outputs < 0).any() or np.abs(outputs.sum(axis=1) - 1).max() > 0.01)


def probabilities(outputs: Array, logits: bool) -> Doubles:
    """Rows that sum to 1, without a zero, so that a logarithm is finite."""
    rows: Doubles = outputs.astype(np.float64)
    if logits:
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    rows = np.maximum(rows, TINY)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
