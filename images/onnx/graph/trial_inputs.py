"""Random samples to try a graph on, with the data set's sizes or, without a data set, sizes that the graph takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from images.onnx.session import RUNTIME_ERRORS, build_feed, fixed_batch_size, open_session, run_session
from shared.data.examples import SIZES, Example
from shared.data.samples import Array, Batch
from shared.data.signature import Signature
from shared.errors import CrossquantError
from shared.measure.predictions import Model
from shared.text import first_line

COMMON_SIZES = (16, 32, 64, 128, 224, 256, 28, 96, 299, 384, 512)
GUESSED_SIZES = tuple(
    dict.fromkeys((*COMMON_SIZES, *range(1, 101), 112, 160, 192, 240, 300, 320, 416, 448, 480))
)  # in this order
Sizes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class TrialShapes:
    """The shape of one sample of each input.

    `guess` is the size that stands for every open size, None if there is none. `runs` is false if the model takes none
    of the sizes that were tried.
    """

    inputs: Sizes
    guess: int | None = None
    runs: bool = True


def choose_shapes(model: onnx.ModelProto, signature: Signature | None, scratch: Path) -> TrialShapes:
    """Return the data set's shapes from the signature, or else the file's, open sizes filled with the first guess that
    runs.

    If no guess runs, it is the first one, with `runs` false.
    """
    data_shapes = tuple(tensor.seen for tensor in signature.inputs) if signature else ()
    if data_shapes and None not in data_shapes:
        return TrialShapes(tuple(tuple(size or 0 for size in shape) for shape in data_shapes if shape is not None))
    open_dims = [[dim.dim_value for dim in item.type.tensor_type.shape.dim[1:]] for item in model.graph.input]
    if all(size > 0 for dims in open_dims for size in dims):
        return TrialShapes(tuple(map(tuple, open_dims)))
    guesses = [
        TrialShapes(tuple(tuple(size if size > 0 else guess for size in dims) for dims in open_dims), guess)
        for guess in GUESSED_SIZES
    ]
    onnx.save(model, scratch / "sizes.onnx")
    try:
        session = open_session(scratch / "sizes.onnx", 1)
        for guess in guesses:
            batch = random_batch(model.graph.input, guess.inputs, fixed_batch_size(model.graph) or SIZES[-1])
            try:
                session.run(None, build_feed(session, batch))
            except RUNTIME_ERRORS:
                continue
            return guess
    except CrossquantError:
        pass  # the stage that loads the model reports the reason
    finally:
        (scratch / "sizes.onnx").unlink(missing_ok=True)
    return replace(guesses[0], runs=False)


def random_batch(inputs: Sequence[onnx.ValueInfoProto], sizes: Sizes, count: int, seed: int = 0) -> Batch:
    """Make `count` random samples: floats from 0 to 1, or the integers 0 and 1 for an input of integers."""
    random = np.random.default_rng(seed)
    pairs = zip(inputs, sizes, strict=True)
    return tuple(random_array(random, item.type.tensor_type.elem_type, (count, *shape)) for item, shape in pairs)


def random_array(random: np.random.Generator, elem_type: int, shape: tuple[int, ...]) -> Array:
    """Make a random array of the ONNX element type `kind`."""
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    floats = np.issubdtype(dtype, np.floating)
    return (random.random(shape) if floats else random.integers(0, 2, shape)).astype(dtype)


def make_example(path: Path, signature: Signature | None, scratch: Path) -> Example:
    """Make random samples, in two batches, with the answers of the file at `path`; see `answer_example`."""
    model = onnx.load(path)
    fixed = fixed_batch_size(model.graph)
    sizes = (fixed, fixed) if fixed else SIZES
    shapes = choose_shapes(model, signature, scratch).inputs
    example = Example(random_batch(model.graph.input, shapes, sum(sizes)), sizes=sizes)
    return answer_example(partial(run_session, open_session(path, 1)), example)


def answer_example(model: Model, example: Example) -> Example:
    """Return the example with the answers of `model`; without any where they aren't finite.

    It has none either where the model fails, or doesn't give a row per sample.
    """
    answers = []
    for inputs, _ in example.batches():
        try:
            outputs = model(inputs)
        except CrossquantError as error:
            print(f"no answers to the samples: {first_line(error)}")
            return replace(example, outputs=())
        if any(not isinstance(array, np.ndarray) or array.shape[:1] != inputs[0].shape[:1] for array in outputs):
            return replace(example, outputs=())
        answers.append(outputs)
    return example.with_answers(answers)
