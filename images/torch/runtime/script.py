"""A TorchScript file, which loads with PyTorch alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from images.torch.runtime import formats
from shared.data import examples
from shared.errors import CrossquantError, Unsupported
from shared.refusals import describe_error

FILE = "model.pt"
Tensors = tuple[torch.Tensor, ...]
Call = Callable[..., torch.Tensor | Tensors]


def save_module(module: torch.nn.Module, batches: Sequence[Tensors], out: Path) -> None:
    """Trace `module` on the first of `batches`, freeze it and write it.

    Unsupported if it can't be traced, or if the trace answers one of the batches differently: a trace may hold the
    batch size of the first. If the model takes only one size, all batches have it.
    """
    try:
        traced = torch.jit.trace(module, batches[0], check_trace=False)  # its check imports SymPy: half a second a fork
        frozen = torch.jit.freeze(traced)
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:  # the tracer runs the module, and raises whatever the module does
        raise Unsupported(f"PyTorch can't trace this model: {describe_error(error)}") from error
    check_answers(frozen, module, batches)
    torch.jit.save(frozen, out / FILE)
    formats.write_input_types(out, batches[0])


def check_answers(converted: Call, module: Call, batches: Sequence[Tensors]) -> None:
    """Raise Unsupported if `converted`, a form of `module`, answers one of the batches differently."""
    for batch in batches:
        expected_outputs = formats.as_sequence(module(*batch))
        problem = f"PyTorch's trace holds its example's batch of {len(batches[0][0])}"
        try:
            outputs = formats.as_sequence(converted(*batch))
        except RuntimeError as error:
            raise Unsupported(f"{problem}: for {len(batch[0])} samples it fails: {last_line(error)}") from error
        for number, (output, expected) in enumerate(zip(outputs, expected_outputs, strict=True)):
            if difference := examples.describe_difference(output.numpy(), expected.numpy()):
                raise Unsupported(f"{problem}: output {number} for {len(batch[0])} samples {difference}")


def last_line(error: RuntimeError) -> str:
    """Return the last line of the message, which tells the reason; the lines before it name places in the trace."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]


def open_model(variant: Path, about: dict[str, str]) -> Call:
    """Load the file. Quantized weights are packed as it is loaded, for the engine that is set then: the recipe's."""
    if "engine" in about:
        torch.backends.quantized.engine = about["engine"]
    return torch.jit.load(variant / FILE)
