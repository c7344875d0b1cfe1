"""A TorchScript file, which loads with PyTorch alone."""

from collections.abc import Callable
from pathlib import Path

import torch

from shared.errors import Unsupported

FILE = "model.pt"
Tensors = tuple[torch.Tensor, ...]
Call = Callable[..., torch.Tensor | Tensors]


def save(module: torch.nn.Module, example: Tensors, out: Path, *, fixed: bool = False) -> None:
    """Trace `module` on `example`, freeze it and write it. It must take any number of samples, unless its batch is
    `fixed`: then `example` has as many.
    """
    traced = torch.jit.trace(module, example, check_trace=False)  # its check imports SymPy: half a second a fork
    frozen = torch.jit.freeze(traced)
    try:
        frozen(*(tensor if fixed else tensor[:1] for tensor in example))
    except RuntimeError as error:
        raise Unsupported(
            f"PyTorch's trace holds its example's batch of {len(example[0])}: "
            "a Reshape target is computed; fold the graph"
        ) from error
    torch.jit.save(frozen, out / FILE)


def open_model(variant: Path, about: dict[str, str]) -> Call:
    """Quantized weights are packed as the file is loaded, for the engine that is set then: it must be the recipe's."""
    if "engine" in about:
        torch.backends.quantized.engine = about["engine"]
    return torch.jit.load(variant / FILE)
