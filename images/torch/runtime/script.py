"""A TorchScript file, which loads with PyTorch alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from images.torch.runtime import formats
from shared.data import examples
from shared.errors import CrossquantError, Unsupported
from shared.refusals import words

FILE = "model.pt"
Tensors = tuple[torch.Tensor, ...]
Call = Callable[..., torch.Tensor | Tensors]


def save(module: torch.nn.Module, batches: Sequence[Tensors], out: Path) -> None:
    """Trace `module` on the first of `batches`, freeze it and write it.

    Unsupported where it can't be traced, and where the trace answers one of the batches otherwise than `module` does:
    it holds the size of the first, unless they are all of the one size that the model takes.
    """
    try:
        traced = torch.jit.trace(module, batches[0], check_trace=False)  # its check imports SymPy: half a second a fork
        frozen = torch.jit.freeze(traced)
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:  # its tracer runs the module, and raises whatever that does
        raise Unsupported(f"PyTorch can't trace this model: {words(error)}") from error
    check(frozen, module, batches)
    torch.jit.save(frozen, out / FILE)
    formats.write_types(out, batches[0])


def check(made: Call, module: Call, batches: Sequence[Tensors]) -> None:
    """Unsupported where `made`, which was made of `module`, answers one of the batches otherwise."""
    for batch in batches:
        wanted = formats.several(module(*batch))
        held = f"PyTorch's trace holds its example's batch of {len(batches[0][0])}"
        try:
            found = formats.several(made(*batch))
        except RuntimeError as error:
            raise Unsupported(f"{held}: for {len(batch[0])} samples it fails: {last(error)}") from error
        for number, pair in enumerate(zip(found, wanted, strict=True)):
            if said := examples.unlike(*(tensor.numpy() for tensor in pair)):
                raise Unsupported(f"{held}: output {number} for {len(batch[0])} samples {said}")


def last(error: RuntimeError) -> str:
    """What is wrong, which stands behind the places in the trace that it came through."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]


def open_model(variant: Path, about: dict[str, str]) -> Call:
    """Quantized weights are packed as the file is loaded, for the engine that is set then: it must be the recipe's."""
    if "engine" in about:
        torch.backends.quantized.engine = about["engine"]
    return torch.jit.load(variant / FILE)
