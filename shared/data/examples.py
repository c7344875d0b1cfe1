"""A few samples with the answers that ONNX Runtime gives to them, which every converted file is held against.

The answers are to two batches of different sizes: what holds the size of one batch fails at the other.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data.samples import Array, Batch

FILE = "example.npz"
FIRST, SECOND = 3, 2  # samples of the two batches, where the model takes any number
TOLERANCE = 1e-3  # of the largest answer: frameworks sum in other orders, and a deep model makes much of it


@dataclass(frozen=True)
class Example:
    """`inputs` has an array an input, of FIRST + SECOND samples, or of twice the model's one batch.

    `outputs` has an array an output for the same samples; there are none where ONNX Runtime gave none that is finite.
    """

    inputs: Batch
    outputs: Batch = ()

    @property
    def parts(self) -> tuple[slice, slice]:
        total = len(self.inputs[0])
        first = FIRST if total == FIRST + SECOND else total // 2
        return slice(first), slice(first, total)

    def batches(self) -> Iterator[tuple[Batch, Batch]]:
        """Each batch with the answers to it."""
        for part in self.parts:
            yield tuple(array[part] for array in self.inputs), tuple(array[part] for array in self.outputs)


def write(example: Example, folder: Path) -> None:
    """The same bytes from every Python: the headers that `np.savez` writes differ between patch releases."""
    arrays = {f"input_{number}": array for number, array in enumerate(example.inputs)}
    arrays |= {f"output_{number}": array for number, array in enumerate(example.outputs)}
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def read(folder: Path) -> Example | None:
    """None where there is none: a file that no stage of ours folded."""
    if not (folder / FILE).exists():
        return None
    with np.load(folder / FILE) as arrays:
        kinds = (
            tuple(arrays[f"{kind}_{number}"] for number in range(sum(name.startswith(kind) for name in arrays)))
            for kind in ("input", "output")
        )
        return Example(*kinds)


def difference(example: Example, model: Callable[[Batch], Batch]) -> str:
    """How the answers of `model` differ from those of the example; "" where they don't, or where there are none.

    What the model raises is left to the caller.
    """
    for inputs, wanted in example.batches():
        if not wanted:
            continue
        found = model(inputs)
        if len(found) != len(wanted):
            return f"it gives {len(found)} outputs in the place of {len(wanted)}"
        for number, pair in enumerate(zip(found, wanted, strict=True)):
            if said := unlike(*pair):
                return f"output {number} for {len(inputs[0])} samples {said}"
    return ""


def unlike(found: Array, wanted: Array) -> str:
    if found.shape != wanted.shape:
        return f"has the shape {found.shape} in the place of {wanted.shape}"
    if not wanted.size:
        return ""
    exact = wanted.astype(np.float64)
    worst, largest = float(np.abs(found.astype(np.float64) - exact).max()), float(np.abs(exact).max())
    if worst <= TOLERANCE * max(largest, 1e-6):  # NaN isn't
        return ""
    return f"is off by {worst:.3g}, where the largest value is {largest:.3g}"
