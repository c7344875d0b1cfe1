"""A TorchScript file, which loads with PyTorch alone."""

from collections.abc import Callable
from pathlib import Path

import torch

from shared.errors import Unsupported

FILE = "model.pt"
Call = Callable[[torch.Tensor], torch.Tensor]


def save(module: torch.nn.Module, example: torch.Tensor, out: Path) -> None:
    """Trace `module` on `example`, (n, height, width, channels) float32, freeze it and write it."""
    traced = torch.jit.trace(module, example, check_trace=False)  # its check imports SymPy: half a second a fork
    frozen = torch.jit.freeze(traced)
    try:
        frozen(example[:1])
    except RuntimeError as error:
        raise Unsupported(
            f"PyTorch's trace holds its example's batch of {len(example)}: a Reshape target is computed; fold the graph"
        ) from error
    torch.jit.save(frozen, out / FILE)


def open_model(variant: Path, about: dict[str, str]) -> Call:
    """Quantized weights are packed as the file is loaded, for the engine that is set then: it must be the recipe's."""
    if "engine" in about:
        torch.backends.quantized.engine = about["engine"]
    return torch.jit.load(variant / FILE)
