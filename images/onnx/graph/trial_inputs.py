"""Samples to try a graph on: of the sizes that the data set has or, where there is none, of sizes that it takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from images.onnx.session import REFUSALS, batch_of, feed, open_session
from shared.data.examples import FIRST, SECOND, Example
from shared.data.samples import Array, Batch
from shared.data.signature import Signature
from shared.errors import CrossquantError

USUAL = (16, 32, 64, 128, 224, 256, 28, 96, 299, 384, 512)
SIZES = tuple(dict.fromkeys((*USUAL, *range(1, 101), 112, 160, 192, 240, 300, 320, 416, 448, 480)))  # in this order
Sizes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Shapes:
    """The shape of one sample of each input. `guess` is what was taken for every open size; None where none was.

    `runs` is false where the model takes none of the sizes that were tried.
    """

    inputs: Sizes
    guess: int | None = None
    runs: bool = True


def shapes(model: onnx.ModelProto, signature: Signature | None, scratch: Path) -> Shapes:
    """Those of the data set, as the signature has them; else those of the file, with the first guess that runs.

    Where no guess runs it is the first one, which says so.
    """
    seen = tuple(tensor.seen for tensor in signature.inputs) if signature else ()
    if seen and None not in seen:
        return Shapes(tuple(tuple(size or 0 for size in shape) for shape in seen if shape is not None))
    open_dims = [[dim.dim_value for dim in item.type.tensor_type.shape.dim[1:]] for item in model.graph.input]
    if all(size > 0 for dims in open_dims for size in dims):
        return Shapes(tuple(map(tuple, open_dims)))
    guesses = [
        Shapes(tuple(tuple(size if size > 0 else guess for size in dims) for dims in open_dims), guess)
        for guess in SIZES
    ]
    onnx.save(model, scratch / "sizes.onnx")
    try:
        session = open_session(scratch / "sizes.onnx", 1)
        for guess in guesses:
            batch = random_batch(model.graph.input, guess.inputs, batch_of(model.graph) or SECOND)
            try:
                session.run(None, feed(session, batch))
            except REFUSALS:
                continue
            return guess
    except CrossquantError:
        pass  # it doesn't load: the stage that loads it says why
    finally:
        (scratch / "sizes.onnx").unlink(missing_ok=True)
    return replace(guesses[0], runs=False)


def random_batch(inputs: Sequence[onnx.ValueInfoProto], sizes: Sizes, count: int, seed: int = 0) -> Batch:
    """From 0 to 1; whole numbers 0 and 1 where the model takes those."""
    random = np.random.default_rng(seed)
    pairs = zip(inputs, sizes, strict=True)
    return tuple(values(random, item.type.tensor_type.elem_type, (count, *shape)) for item, shape in pairs)


def values(random: np.random.Generator, kind: int, shape: tuple[int, ...]) -> Array:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    floats = np.issubdtype(dtype, np.floating)
    return (random.random(shape) if floats else random.integers(0, 2, shape)).astype(dtype)


def example(path: Path, signature: Signature | None, scratch: Path) -> Example:
    """Random samples with the answers of the file at `path` to them, in two batches."""
    model = onnx.load(path)
    fixed = batch_of(model.graph)
    count = 2 * fixed if fixed else FIRST + SECOND
    inputs = random_batch(model.graph.input, shapes(model, signature, scratch).inputs, count)
    parts = list(answered(path, Example(inputs)))
    if not parts or not all(np.isfinite(array).all() for part in parts for array in part if array.dtype.kind == "f"):
        return Example(inputs)
    return Example(inputs, tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))


def answered(path: Path, asked: Example) -> Iterator[Batch]:
    """The answers to each of the two batches; none where an answer is not one for each sample, or there is none."""
    session = open_session(path, 1)
    found = []
    for inputs, _ in asked.batches():
        try:
            answers = tuple(session.run(None, feed(session, inputs)))
        except REFUSALS as error:
            print(f"no answers to random samples: {str(error).strip().splitlines()[0]}")
            return
        if any(not isinstance(array, np.ndarray) or array.shape[:1] != inputs[0].shape[:1] for array in answers):
            return
        found.append(answers)
    yield from found
