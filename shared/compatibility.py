"""Describes a model for `inspect`, before anything long is run: each image adds what its framework supports."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.contract import encode, read_shown
from shared.data import samples
from shared.data.signature import Signature

FILE = "compatibility.json"
SAMPLES = 8  # random ones: enough for a quantizer to go through all of its steps
OPEN = 16  # for a size that the model leaves open, if no accepted size was determined


@dataclass(frozen=True)
class FrameworkSupport:
    """One conversion step. It supports all of the model, or `carried` nodes by ONNX operator; `reason` is why it
    failed.
    """

    name: str
    all: bool = False
    carried: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    def nodes(self, operator: str, there: int) -> int:
        """Return how many of the `there` nodes of this operator are supported."""
        return there if self.all else self.carried.get(operator, 0)


@dataclass(frozen=True)
class Compatibility:
    """`size` in bytes; `layers` counts Keras's classes, `operators` ONNX's, in the folded graph if it came so far."""

    signature: Signature | None = None
    parameters: int | None = None
    size: int | None = None
    layers: dict[str, int] = field(default_factory=dict)
    operators: dict[str, int] = field(default_factory=dict)
    support: tuple[FrameworkSupport, ...] = ()
    notes: tuple[str, ...] = ()


def write(inspection: Compatibility, folder: Path) -> None:
    (folder / FILE).write_text(encode(inspection))


def load(folder: Path) -> Compatibility:
    return read_shown(Compatibility, folder / FILE)


def count_names(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def write_random_samples(signature: Signature, folder: Path) -> Path:
    """Write a few random samples as the model takes them, to try a quantizer on; whole numbers are 0 or 1."""
    random = np.random.default_rng(0)
    for number, tensor in enumerate(signature.inputs):
        shape = (SAMPLES, *(tensor.seen or (size or OPEN for size in tensor.shape)))
        whole = not tensor.dtype.startswith("float")
        values = random.integers(0, 2, shape) if whole else random.random(shape)
        np.save(folder / samples.file(number), values.astype(tensor.dtype))
    dtypes = ", ".join(f'"{tensor.dtype}"' for tensor in signature.inputs)
    (folder / samples.ABOUT).write_text(f'{{"task": "fidelity", "dtypes": [{dtypes}]}}')
    return folder
