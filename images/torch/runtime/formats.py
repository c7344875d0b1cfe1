"""How PyTorch variants are shipped, and what every measurement loads: TorchScript, or what `quantized.json` says."""

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
    """The model in `variant` on `thread_count` threads, from the file that is shipped.

    Only what its form needs is imported: torchao and Inductor take seconds that a TorchScript file spares.
    """
    torch.set_num_threads(thread_count)
    threads.check("PyTorch", thread_count, torch.get_num_threads())
    call = open_form(variant)

    def model(batch: Batch) -> Batch:
        given = map(torch.from_numpy, typed(variant, batch))
        with torch.inference_mode():
            return tuple(answer.numpy() for answer in several(call(*given)))

    fixed = read(variant, CONVERSION_JSON).get("batch", 0)
    return in_batches_of(fixed, model) if fixed else model


def write_types(out: Path, example: Sequence[torch.Tensor]) -> None:
    """What the model takes, for `load` to cast samples to."""
    (out / TYPES).write_text(json.dumps([str(tensor.numpy().dtype) for tensor in example]))


def typed(variant: Path, batch: Batch) -> Batch:
    """The arrays in the types that the model takes; as they are where nothing says which."""
    types = (
        json.loads((variant / TYPES).read_text()) if (variant / TYPES).exists() else [array.dtype for array in batch]
    )
    return tuple(array.astype(kind, copy=False) for array, kind in zip(batch, types, strict=True))


def open_form(variant: Path, *, compiling: bool = True) -> Any:
    """What the file of `variant` is called by: tensors in, one tensor or several out. Without `compiling` what would be
    compiled here runs operator by operator.
    """
    about = read(variant)
    form = about.get("form", SCRIPT)
    form = EXPORTED if form == COMPILED and not compiling else form
    return importlib.import_module(f"images.torch.runtime.{MODULES[form]}").open_model(variant, about)


def several(answers: torch.Tensor | Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """A module with one output gives it bare."""
    return (answers,) if isinstance(answers, torch.Tensor) else answers


def write(out: Path, about: dict[str, object], file: str = QUANTIZED_JSON) -> None:
    (out / file).write_text(json.dumps(about))


def read(variant: Path, file: str = QUANTIZED_JSON) -> dict[str, Any]:
    """What `write` wrote; nothing where there is no such file, as with a float model's QUANTIZED_JSON."""
    path = variant / file
    return json.loads(path.read_text()) if path.exists() else {}
