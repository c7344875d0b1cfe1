"""A file of torch.export, run operator by operator. It loads with torchao, whose operators it has."""

from collections.abc import Callable
from pathlib import Path

import torch
import torchao.quantization.pt2e  # noqa: F401 - a file can't be read without its operators

from shared.errors import Unsupported

FILE = "model.pt2"
Call = Callable[[torch.Tensor], torch.Tensor]


def export(module: torch.nn.Module, images: torch.Tensor) -> torch.export.ExportedProgram:
    """`module` for any number of images; of `images`, (n, height, width, channels) float32, only the shape matters.

    They are cloned, since a slice would bring its whole storage into the file. Unsupported in PyTorch's words.
    """
    batch = torch.export.Dim("batch")
    try:
        return torch.export.export(module, (images.clone(),), dynamic_shapes=({0: batch},))
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        raise Unsupported(f"torch.export can't follow this model: {first}") from error


def save(program: torch.export.ExportedProgram, out: Path) -> None:
    torch.export.save(program, out / FILE)


def open_model(variant: Path, about: dict[str, str]) -> Call:  # noqa: ARG001 - as every form is opened
    return torch.export.load(variant / FILE).module()
