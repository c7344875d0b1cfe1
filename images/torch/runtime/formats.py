"""The forms in which PyTorch variants are shipped, and the loading of each: TorchScript, or what `quantized.json`
names.
"""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from shared.data.samples import Batch
from shared.measure.fixed_batch import in_batches_of
from shared.measure.predictions import Model
from shared.runner import threads

QUANTIZED_JSON, CONVERSION_JSON = "quantized.json", "conversion.json"
TYPES = "inputs.json"
SCRIPT, EXPORTED, COMPILED, AOT = "script", "exported", "compiled", "aot"
DYNAMIC_IMPORTS = (
    "images.torch.runtime.script",
    "images.torch.runtime.exported",
    "images.torch.runtime.compiled",
    "images.torch.runtime.aot",
)
MODULES = {SCRIPT: "script", EXPORTED: "exported", COMPILED: "compiled", AOT: "aot"}


def load(variant: Path, thread_count: int) -> Model:
    """Load the model in `variant` on `thread_count` threads, from the file that is shipped.

    Only what its form needs is imported: torchao and Inductor take seconds, which a TorchScript file doesn't need.
    """
    torch.set_num_threads(thread_count)
    threads.check("PyTorch", thread_count, torch.get_num_threads())
    call = open_form(variant)

    def model(batch: Batch) -> Batch:
        inputs = map(torch.from_numpy, cast_inputs(variant, batch))
        with torch.inference_mode():
            return tuple(answer.numpy() for answer in as_sequence(call(*inputs)))

    batch_size = read_json(variant, CONVERSION_JSON).get("batch", 0)
    return in_batches_of(batch_size, model) if batch_size else model


def write_input_types(out: Path, example: Sequence[torch.Tensor]) -> None:
    """Write the types that the model takes, to which `load` casts samples."""
    (out / TYPES).write_text(json.dumps([str(tensor.numpy().dtype) for tensor in example]))


def cast_inputs(variant: Path, batch: Batch) -> Batch:
    """Return the arrays in the types that the model takes, or unchanged if no file names the types."""
    types = (
        json.loads((variant / TYPES).read_text()) if (variant / TYPES).exists() else [array.dtype for array in batch]
    )
    return tuple(array.astype(kind, copy=False) for array, kind in zip(batch, types, strict=True))


def open_form(variant: Path, *, compiling: bool = True) -> Any:
    """Return the model in `variant` as a callable from tensors to one tensor or several.

    Without `compiling`, a form that is compiled as it is loaded runs operator by operator instead.
    """
    about = read_json(variant)
    form = about.get("form", SCRIPT)
    form = EXPORTED if form == COMPILED and not compiling else form
    return importlib.import_module(f"images.torch.runtime.{MODULES[form]}").open_model(variant, about)


def as_sequence(answers: torch.Tensor | Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Return the outputs as a sequence: a module with one output returns a tensor."""
    return (answers,) if isinstance(answers, torch.Tensor) else answers


def write_json(out: Path, about: dict[str, object], file: str = QUANTIZED_JSON) -> None:
    """Write `about` to a JSON file of the variant."""
    (out / file).write_text(json.dumps(about))


def read_json(variant: Path, file: str = QUANTIZED_JSON) -> dict[str, Any]:
    """Read what `write_json` wrote; empty if there is no such file, as with a float model's QUANTIZED_JSON."""
    path = variant / file
    return json.loads(path.read_text()) if path.exists() else {}
