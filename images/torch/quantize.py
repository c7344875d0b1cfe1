"""Static quantization after training, by PyTorch's FX graph mode."""

from pathlib import Path

import torch

from images.torch import forms, fx, layers
from images.torch.attempts import Attempts
from images.torch.recipe import Recipe, own_check
from images.torch.script import save
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
    excluded = [layer.name for layer in layers.select(layers.read(model), exclude, exclude_types)]
    with torch.no_grad():
        attempts = Attempts(model, recipe, excluded, calibration)
        write(attempts.quantized(()), recipe, attempts.total(()), calibration, out)


def write(converted: torch.fx.GraphModule, recipe: Recipe, total: int, calibration: Path, out: Path) -> None:
    """The file to ship and `quantized.json`. Unsupported where fewer than half of the `total` layers are quantized."""
    quantized = fx.count(converted, fx.QUANTIZED)
    check_quantized("PyTorch", quantized, total, own_check(recipe.qconfig()))
    save(converted, fx.example(calibration), out)
    forms.write(out, {"engine": recipe.backend, "quantized": quantized, "operators": total})
