"""A LiteRT file as a callable, by its interpreter on the CPU."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from shared.data.samples import Array, Batch
from shared.errors import CrossquantError, Unsupported
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.runner import threads

FILE = "model.tflite"
KEPT = 2  # interpreters: two sizes of a batch take turns when a model is timed

Details = dict[str, Any]
Shapes = tuple[tuple[int, ...], ...]


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads.

    LiteRT fixes all shapes when it allocates its tensors: each size of a batch has an interpreter of its own.
    """
    content = read(variant / FILE)
    first = start(content, thread_count)
    declared = [item["shape_signature"] for item in tensors(first, "input")]
    ones = tuple(tuple(1 if size < 0 else int(size) for size in shape) for shape in declared)
    prepared = lru_cache(KEPT)(lambda shapes: prepare(start(content, thread_count), shapes, thread_count))
    prepared(ones)
    fixed = {int(shape[0]) for shape in declared if shape[0] > 0}
    model: Model = lambda batch: prepared(tuple(array.shape for array in batch))(batch)  # noqa: E731
    return in_batches_of(max(fixed), model) if fixed else model


def read(path: Path) -> bytes:
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise CrossquantError(f"{path.name} is no LiteRT file, or is cut short")
    return content


def start(content: bytes, thread_count: int) -> Interpreter:
    try:
        return Interpreter(model_content=content, num_threads=thread_count)
    except (ValueError, RuntimeError) as error:
        raise CrossquantError(f"LiteRT can't load {FILE}: {first_line(error)}") from error


def tensors(interpreter: Interpreter, kind: str) -> list[Details]:
    """Of the inputs or the outputs, in the model's order: the file has them in any, with the order in their names."""
    runner = interpreter.get_signature_runner()
    found = runner.get_input_details() if kind == "input" else runner.get_output_details()
    return [found[f"{kind}_{number}"] for number in range(len(found))]


def prepare(interpreter: Interpreter, shapes: Shapes, thread_count: int) -> Callable[[Batch], Batch]:
    """The interpreter with memory for inputs of these shapes, as a callable."""
    before = threads.alive()
    for details, shape in zip(tensors(interpreter, "input"), shapes, strict=True):
        interpreter.resize_tensor_input(details["index"], shape)
    try:
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise CrossquantError(f"LiteRT can't run {FILE}: {first_line(error)}") from error
    # The calling thread works too: a pool of n threads starts n - 1.
    threads.check("LiteRT", thread_count, len(threads.alive() - before) + 1)
    inputs, outputs = tensors(interpreter, "input"), tensors(interpreter, "output")

    def model(batch: Batch) -> Batch:
        for details, array in zip(inputs, batch, strict=True):
            interpreter.set_tensor(details["index"], quantized(array, details))
        interpreter.invoke()
        return tuple(restored(interpreter.get_tensor(details["index"]), details) for details in outputs)

    return model


def quantized(array: Array, details: Details) -> Array:
    """What a file with quantized inputs takes; else the array in the type of the input."""
    dtype, (scale, zero) = details["dtype"], details["quantization"]
    if array.dtype == dtype or not scale:
        return array.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    codes: Array = np.clip(np.round(array / scale) + zero, limits.min, limits.max).astype(dtype)
    return codes


def restored(array: Array, details: Details) -> Array:
    scale, zero = details["quantization"]
    return (array.astype(np.float32) - zero) * np.float32(scale) if scale else array


def check_loads(path: Path) -> None:
    """Unsupported, in LiteRT's words, for a file that the converter wrote and LiteRT can't run."""
    try:
        load(path.parent, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error


def first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200]
