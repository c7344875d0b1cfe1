"""A file of torch.export, run operator by operator. Loading it needs torchao, whose operators it contains."""

from collections.abc import Callable
from pathlib import Path

import torch
import torchao.quantization.pt2e  # noqa: F401 - a file can't be read without its operators

from images.torch.refusals import refusals

FILE = "model.pt2"
Tensors = tuple[torch.Tensor, ...]
Call = Callable[..., torch.Tensor | Tensors]


def export_module(module: torch.nn.Module, batch: Tensors) -> torch.export.ExportedProgram:
    """Export `module` for any number of samples; of `batch`, one tensor per input, only the shapes matter.

    The tensors are cloned: a slice would bring its whole storage into the file. Unsupported, with PyTorch's message, if
    torch.export can't follow the module.
    """
    size = torch.export.Dim("batch")
    example = tuple(tensor.clone() for tensor in batch)
    with refusals("torch.export can't follow this model", module):
        return torch.export.export(module, example, dynamic_shapes=tuple({0: size} for _ in example))


def save_program(program: torch.export.ExportedProgram, out: Path) -> None:
    """Write `model.pt2`. Unsupported if torch.export has no form for what the program contains."""
    with refusals("torch.export can't save this model"):
        torch.export.save(program, out / FILE)


def open_model(variant: Path, about: dict[str, str]) -> Call:  # noqa: ARG001 - as every form is opened
    """Load the program as a module."""
    return torch.export.load(variant / FILE).module()
