"""How much each layer loses: the contents of `layers.json`, and what collects them batch after batch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from shared.contract import encode
from shared.numerics import ErrorAccumulator

FILE = "layers.json"
Array = NDArray[Any]
Distance = Literal["KL divergence", "noise"]
UNLIMITED = (-np.inf, np.inf)


@dataclass(frozen=True)
class Error:
    """The error of a quantized tensor against float. `sqnr_db` is None if nothing differs."""

    sqnr_db: float | None
    cosine: float
    max_abs: float

    @classmethod
    def of(cls, errors: ErrorAccumulator) -> Self:
        """Return the error of the whole tensor, from what its blocks add up to."""
        return cls(errors.sqnr_db, errors.cosine, errors.max_abs)


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
    `float_kl` is the distance of the fully quantized model's outputs from the float model's. The fields called
    `accuracy` have the score of the task, which `score` names (R² or mAP for example). Those called `kl` have the
    distance that `distance` names: the KL divergence in nats, or the noise's share of the power.
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
        """The unit of the distance."""
        return "nats" if self.distance == "KL divergence" else "share of the power"


def write(sensitivity: Sensitivity, out: Path) -> None:
    (out / FILE).write_text(encode(sensitivity))


@dataclass
class Extent:
    """The least and the greatest value of a tensor, and how many lie beyond `limits`, batch after batch."""

    limits: tuple[float, float] = UNLIMITED
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
