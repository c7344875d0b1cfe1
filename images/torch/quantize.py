"""Static quantization after training, by PyTorch's FX graph mode."""

from pathlib import Path

import torch

from images.torch import forms, fx, layers
from images.torch.convert import to_module
from images.torch.recipe import Recipe, own_check
from images.torch.script import save
from shared.errors import Unsupported
from shared.guards import check_quantized


def run(
    model: Path,
    calibration: Path,
    out: Path,
    *,
    backend: str,
    observer: str,
    percentile: float,
    per_channel: bool,
    activation: str,
    weight: str,
    reduce_range: str,
    exclude: list[str],
    exclude_types: list[str],
) -> None:
    """Write `model.pt` and `quantized.json`. Unsupported where PyTorch leaves layers in float."""
    recipe = Recipe(backend, observer, percentile, per_channel, activation, weight, reduce_range)
    set_engine(backend)
    excluded = layers.select(layers.read(model), exclude, exclude_types)
    module = to_module(model)
    left_out = layers.whole(excluded, module)
    total = fx.count(module, fx.COMPUTING, left_out)
    with torch.no_grad():
        converted = fx.quantize(module, fx.exclude(recipe.mapping(), left_out), calibration)
        write(converted, recipe, total, calibration, out)


def set_engine(backend: str) -> None:
    """Weights are packed for the engine of the moment. Unsupported where this build or CPU doesn't have it."""
    try:
        torch.backends.quantized.engine = backend
    except RuntimeError as error:
        raise Unsupported(f"PyTorch's engine {backend}: {error}") from error


def write(converted: torch.fx.GraphModule, recipe: Recipe, total: int, calibration: Path, out: Path) -> None:
    """The file to ship and `quantized.json`. Unsupported where fewer than half of the `total` layers are quantized."""
    quantized = fx.count(converted, fx.QUANTIZED)
    check_quantized("PyTorch", quantized, total, own_check(recipe.qconfig()))
    save(converted, fx.example(calibration), out)
    forms.write(out, {"engine": recipe.backend, "quantized": quantized, "operators": total})
