"""A TorchScript file, which loads with PyTorch alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from images.torch.refusals import refusals
from images.torch.runtime import formats
from shared.data import examples
from shared.errors import CrossquantError, Unsupported

FILE = "model.pt"
Tensors = tuple[torch.Tensor, ...]
Call = Callable[..., torch.Tensor | Tensors]


def save_module(module: torch.nn.Module, batches: Sequence[Tensors], out: Path) -> None:
    """Trace `module` on the first of `batches`, freeze it and write it.

    Unsupported if it can't be traced, or if the trace answers one of the batches differently: a trace may hold the
    batch size of the first. If the model takes only one size, all batches have it.
    """
    with refusals("PyTorch can't trace this model", module):
        traced = torch.jit.trace(module, batches[0], check_trace=False)  # its check imports SymPy: half a second a fork
        frozen = torch.jit.freeze(traced)
    check_answers(frozen, module, batches)
    with refusals("PyTorch can't save this model"):
        torch.jit.save(frozen, out / FILE)
    formats.write_input_types(out, batches[0])


def check_answers(converted: Call, module: Call, batches: Sequence[Tensors]) -> None:
    """Raise Unsupported if `converted`, a form of `module`, answers one of the batches differently."""
    for batch in batches:
        with refusals("PyTorch can't run this model"):
            expected_outputs = formats.as_sequence(module(*batch))
        problem = f"PyTorch's trace holds its example's batch of {len(batches[0][0])}"
        try:
            outputs = formats.as_sequence(converted(*batch))
        except (CrossquantError, MemoryError, OSError):
            raise
        except Exception as error:  # an exported program may raise anything for a size that it holds
            raise Unsupported(f"{problem}: for {len(batch[0])} samples it fails: {last_line(error)}") from error
        for number, (output, expected) in enumerate(zip(outputs, expected_outputs, strict=True)):
            if difference := examples.describe_difference(output.numpy(), expected.numpy()):
                raise Unsupported(f"{problem}: output {number} for {len(batch[0])} samples {difference}")


def last_line(error: Exception) -> str:
    """Return the last line of the message, which tells the reason; the lines before it name places in the trace."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]


def open_model(variant: Path, about: dict[str, str]) -> Call:
    """Load the file. Quantized weights are packed as it is loaded, for the engine that is set then: the recipe's."""
    if "engine" in about:
        torch.backends.quantized.engine = about["engine"]
    return torch.jit.load(variant / FILE)
