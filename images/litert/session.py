"""A LiteRT file as a function of NumPy arrays, run by LiteRT's interpreter on the CPU."""

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
from shared.text import first_line

FILE = "model.tflite"
CACHED = 2  # interpreters: two batch sizes alternate when a model is timed

Details = dict[str, Any]
Shapes = tuple[tuple[int, ...], ...]


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads, as a function from a batch of inputs to a batch of outputs.

    LiteRT fixes all shapes when it allocates its tensors, so each batch size has its own interpreter. CrossquantError
    where LiteRT can't load or run the file, or where it runs on another number of threads.
    """
    content = read_file(variant / FILE)
    interpreter = start_interpreter(content, thread_count)
    declared = [details["shape_signature"] for details in tensor_details(interpreter, "input")]
    smallest = tuple(tuple(1 if size < 0 else int(size) for size in shape) for shape in declared)
    prepared = lru_cache(CACHED)(lambda shapes: prepare(start_interpreter(content, thread_count), shapes, thread_count))
    prepared(smallest)
    fixed = {int(shape[0]) for shape in declared if shape[0] > 0}
    model: Model = lambda batch: prepared(tuple(array.shape for array in batch))(batch)  # noqa: E731
    return in_batches_of(max(fixed), model) if fixed else model


def read_file(path: Path) -> bytes:
    """The content of a .tflite file. CrossquantError where it is none."""
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise CrossquantError(f"{path.name} is no LiteRT file, or is cut short")
    return content


def start_interpreter(content: bytes, thread_count: int) -> Interpreter:
    """An interpreter for the file's content, without memory for tensors yet. CrossquantError where it can't load it."""
    try:
        return Interpreter(model_content=content, num_threads=thread_count)
    except (ValueError, RuntimeError) as error:
        raise CrossquantError(f"LiteRT can't load {FILE}: {first_line(error, 200)}") from error


def tensor_details(interpreter: Interpreter, kind: str) -> list[Details]:
    """LiteRT's details of the inputs ("input") or outputs ("output"), in the model's order, which their names give."""
    runner = interpreter.get_signature_runner()
    by_name = runner.get_input_details() if kind == "input" else runner.get_output_details()
    return [by_name[f"{kind}_{number}"] for number in range(len(by_name))]


def prepare(interpreter: Interpreter, shapes: Shapes, thread_count: int) -> Callable[[Batch], Batch]:
    """The interpreter, with memory for inputs of these shapes, as a function.

    CrossquantError where LiteRT can't run the file, or runs on another number of threads.
    """
    before = threads.alive()
    for details, shape in zip(tensor_details(interpreter, "input"), shapes, strict=True):
        interpreter.resize_tensor_input(details["index"], shape)
    try:
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise CrossquantError(f"LiteRT can't run {FILE}: {first_line(error, 200)}") from error
    # The calling thread computes too: a pool of n threads starts n - 1.
    threads.check("LiteRT", thread_count, len(threads.alive() - before) + 1)
    inputs, outputs = tensor_details(interpreter, "input"), tensor_details(interpreter, "output")

    def model(batch: Batch) -> Batch:
        for details, array in zip(inputs, batch, strict=True):
            interpreter.set_tensor(details["index"], quantize_input(array, details))
        interpreter.invoke()
        return tuple(dequantize_output(interpreter.get_tensor(details["index"]), details) for details in outputs)

    return model


def quantize_input(array: Array, details: Details) -> Array:
    """The array in the type of the input, quantized with its scale and zero point where it has them."""
    dtype, (scale, zero) = details["dtype"], details["quantization"]
    if array.dtype == dtype or not scale:
        return array.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    codes: Array = np.clip(np.round(array / scale) + zero, limits.min, limits.max).astype(dtype)
    return codes


def dequantize_output(array: Array, details: Details) -> Array:
    """The output as float32, where it is quantized; else as it is."""
    scale, zero = details["quantization"]
    return (array.astype(np.float32) - zero) * np.float32(scale) if scale else array


def check_loads(path: Path) -> None:
    """Unsupported, with LiteRT's message, for a file that the converter wrote and LiteRT can't run."""
    try:
        load(path.parent, 1)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error
