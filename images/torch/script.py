"""A TorchScript file: how PyTorch variants are shipped, and what every measurement loads."""

import json
from pathlib import Path

import torch

from shared import threads
from shared.errors import Unsupported
from shared.predictions import Model

FILE, QUANTIZED_JSON = "model.pt", "quantized.json"


def save(module: torch.nn.Module, example: torch.Tensor, out: Path) -> None:
    """Trace `module` on `example`, (n, height, width, channels) float32, freeze it and write it."""
    traced = torch.jit.trace(module, example)
    frozen = torch.jit.freeze(traced)
    try:
        frozen(example[:1])
    except RuntimeError as error:
        raise Unsupported(
            f"PyTorch's trace holds its example's batch of {len(example)}: a Reshape target is computed; fold the graph"
        ) from error
    torch.jit.save(frozen, out / FILE)


def load(variant: Path, thread_count: int) -> Model:
    """The model in `variant` on `thread_count` threads.

    Quantized weights are packed as the file is loaded, for the engine that is set then: it must be the recipe's.
    """
    if (variant / QUANTIZED_JSON).exists():
        torch.backends.quantized.engine = json.loads((variant / QUANTIZED_JSON).read_text())["engine"]
    torch.set_num_threads(thread_count)
    threads.check("PyTorch", thread_count, torch.get_num_threads())
    module = torch.jit.load(variant / FILE)

    def model(images):  # noqa: ANN001, ANN202
        with torch.inference_mode():
            return module(torch.from_numpy(images)).numpy()

    return model
