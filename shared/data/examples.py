"""A few samples with ONNX Runtime's answers, which those of every converted file are compared with.

The samples are two batches of different sizes: a conversion that holds the size of one fails at the other.
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
TOLERANCE = 1e-3  # of the largest answer: frameworks sum in different orders, which a deep model amplifies


@dataclass(frozen=True)
class Example:
    """`inputs` has an array per input, of FIRST + SECOND samples, or of two batches of the model's fixed size.

    `outputs` has an array per output for the same samples, or is empty if ONNX Runtime's answers were not finite.
    """

    inputs: Batch
    outputs: Batch = ()

    @property
    def parts(self) -> tuple[slice, slice]:
        total = len(self.inputs[0])
        first = FIRST if total == FIRST + SECOND else total // 2
        return slice(first), slice(first, total)

    def batches(self) -> Iterator[tuple[Batch, Batch]]:
        """Yield each batch with the answers to it."""
        for part in self.parts:
            yield tuple(array[part] for array in self.inputs), tuple(array[part] for array in self.outputs)


def write(example: Example, folder: Path) -> None:
    """Write `example.npz`, the same bytes with any Python: headers of `np.savez` differ between patch releases."""
    arrays = {f"input_{number}": array for number, array in enumerate(example.inputs)}
    arrays |= {f"output_{number}": array for number, array in enumerate(example.outputs)}
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def read(folder: Path) -> Example | None:
    """Read the example beside a file, or None if no stage of ours folded the file."""
    if not (folder / FILE).exists():
        return None
    with np.load(folder / FILE) as arrays:
        kinds = (
            tuple(arrays[f"{kind}_{number}"] for number in range(sum(name.startswith(kind) for name in arrays)))
            for kind in ("input", "output")
        )
        return Example(*kinds)


def difference(example: Example, model: Callable[[Batch], Batch]) -> str:
    """Describe how the answers of `model` differ from the example's; "" if they don't, or if it has none.

    Exceptions of the model are passed on.
    """
    for inputs, expected in example.batches():
        if not expected:
            continue
        outputs = model(inputs)
        if len(outputs) != len(expected):
            return f"it gives {len(outputs)} outputs in the place of {len(expected)}"
        for number, pair in enumerate(zip(outputs, expected, strict=True)):
            if problem := describe_difference(*pair):
                return f"output {number} for {len(inputs[0])} samples {problem}"
    return ""


def describe_difference(output: Array, expected: Array) -> str:
    """Describe how an output differs from the expected one by more than the tolerance; "" if it doesn't."""
    if output.shape != expected.shape:
        return f"has the shape {output.shape} in the place of {expected.shape}"
    if not expected.size:
        return ""
    exact = expected.astype(np.float64)
    worst, largest = float(np.abs(output.astype(np.float64) - exact).max()), float(np.abs(exact).max())
    if worst <= TOLERANCE * max(largest, 1e-6):  # false for NaN
        return ""
    return f"is off by {worst:.3g}, where the largest value is {largest:.3g}"
