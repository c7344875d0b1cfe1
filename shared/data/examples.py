"""Samples with a model's answers, which those of every rewritten or converted model are compared with.

The samples are in batches of two sizes: a conversion that holds the size of one fails at the other.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shared.data import samples
from shared.data.samples import Array, Batch

FILE = "example.npz"
FIRST, SECOND = SIZES = (3, 2)  # samples of the batches, in turn, where the model takes any number
MOST = 60  # samples of a data set; fewer where these would have more than LARGEST bytes
LARGEST = 1 << 22
TOLERANCE = 1e-4  # of the largest answer: frameworks sum in different orders
CHANGED_INTEGERS = 1e-3  # of all answers that are integers: an argmax of two nearly equal values may be either


@dataclass(frozen=True)
class Example:
    """`inputs` has an array per input, of the samples of all batches; `sizes` is how many each batch has.

    `outputs` has an array per output for the same samples, or is empty if the answers were not finite.
    """

    inputs: Batch
    outputs: Batch = ()
    sizes: tuple[int, ...] = SIZES

    def batches(self) -> Iterator[tuple[Batch, Batch]]:
        """Yield each batch with the answers to it."""
        start = 0
        for size in self.sizes:
            part = slice(start, start + size)
            yield tuple(array[part] for array in self.inputs), tuple(array[part] for array in self.outputs)
            start += size

    def with_answers(self, answers: Sequence[Batch]) -> "Example":
        """Return the example with these answers, one per batch; without any where one isn't finite."""
        outputs = tuple(np.concatenate(pieces) for pieces in zip(*answers, strict=True))
        finite = all(np.isfinite(array).all() for array in outputs if array.dtype.kind == "f")
        return replace(self, outputs=outputs if finite else ())


def take_samples(folder: Path, types: Sequence[str], batch: int | None) -> Example:
    """Take samples from the whole of the data set in `folder`, cast to the `types` of a model's inputs.

    `batch` is the only number of samples that the model takes, if it takes only one.
    """
    total = samples.count(folder)
    one = sum(array.nbytes for array in samples.take(folder, slice(1)))
    rounds = max(1, min(MOST, total, LARGEST // max(1, one)) // sum(SIZES))
    sizes = (batch, batch) if batch else SIZES * rounds
    chosen = np.linspace(0, total - 1, sum(sizes)).astype(np.int64)
    pairs = zip(samples.take(folder, chosen), types, strict=True)
    return Example(tuple(array.astype(dtype, copy=False) for array, dtype in pairs), sizes=sizes)


def write(example: Example, folder: Path) -> None:
    """Write `example.npz`, the same bytes with any Python: headers of `np.savez` differ between patch releases."""
    arrays = {f"input_{number}": array for number, array in enumerate(example.inputs)}
    arrays |= {f"output_{number}": array for number, array in enumerate(example.outputs)}
    arrays["sizes"] = np.array(example.sizes, np.int64)
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def read(folder: Path) -> Example | None:
    """Read the example beside a file, or None if there is none."""
    if not (folder / FILE).exists():
        return None
    with np.load(folder / FILE) as arrays:
        inputs, outputs = (
            tuple(arrays[f"{kind}_{number}"] for number in range(sum(name.startswith(kind) for name in arrays)))
            for kind in ("input", "output")
        )
        return Example(inputs, outputs, tuple(arrays["sizes"].tolist()))


def difference(example: Example, model: Callable[[Batch], Batch], tolerance: float = TOLERANCE) -> str:
    """Describe how the answers of `model` differ from the example's; "" if they don't, or if it has none.

    `tolerance` is a share of the largest answer. Exceptions of the model are passed on.
    """
    for inputs, expected in example.batches():
        if not expected:
            continue
        outputs = model(inputs)
        if len(outputs) != len(expected):
            return f"it gives {len(outputs)} outputs in the place of {len(expected)}"
        for number, pair in enumerate(zip(outputs, expected, strict=True)):
            if problem := describe_difference(*pair, tolerance):
                return f"output {number} for {len(inputs[0])} samples {problem}"
    return ""


def describe_difference(output: Array, expected: Array, tolerance: float = TOLERANCE) -> str:
    """Describe how an output differs from the expected one by more than the tolerance; "" if it doesn't."""
    if output.shape != expected.shape:
        return f"has the shape {output.shape} in the place of {expected.shape}"
    if not expected.size:
        return ""
    if expected.dtype.kind in "biu":
        changed = int(np.count_nonzero(output != expected))
        return f"differs in {changed} of {expected.size} values" if changed > CHANGED_INTEGERS * expected.size else ""
    exact = expected.astype(np.float64)
    worst, largest = float(np.abs(output.astype(np.float64) - exact).max()), float(np.abs(exact).max())
    if worst <= tolerance * max(largest, 1e-6):  # false for NaN
        return ""
    return f"is off by {worst:.3g}, where the largest value is {largest:.3g}"
