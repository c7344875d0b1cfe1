"""Static quantization after training, by PyTorch's FX graph mode, or by PT2E what that can't follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from images.torch.convert import batches, fallback, types_of
from images.torch.convert.fallback import Source
from images.torch.quantize import exclusion, fx
from images.torch.quantize.recipe import Recipe, own_check
from images.torch.quantize.trials import Attempts, set_engine
from images.torch.runtime import formats
from images.torch.runtime.script import save
from shared.data.samples import typed
from shared.errors import Unsupported
from shared.quantization.guards import check_quantized

WAY = "fx"


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
    """Write `model.pt`, or PT2E's `model.pt2`, and `quantized.json`. Unsupported where layers are left in float."""
    recipe = Recipe(backend, observer, percentile, per_channel, activation, weight, reduce_range)
    excluded = [layer.name for layer in exclusion.select(exclusion.read(model), exclude, exclude_types)]
    set_engine(recipe.backend)
    with torch.no_grad(), typed(calibration, types_of(model)) as calibration:
        try:
            with fallback.sources(model) as graphs:
                made = fallback.best(graphs, lambda source: make(source, recipe, excluded, calibration))
                write(made, recipe, out)
        except Unsupported as error:
            if not recipe.like_pt2e:
                raise
            exported(model, calibration, out, recipe, excluded, error)


@dataclass(frozen=True)
class Made:
    """A quantized module, with what it was made of."""

    source: Source
    attempts: Attempts
    module: torch.fx.GraphModule
    quantized: int
    total: int


def make(source: Source, recipe: Recipe, excluded: Sequence[str], calibration: Path) -> Made:
    """Unsupported where the graph can't be traced, or fewer than half of its layers are quantized."""
    return of(source, Attempts(source.folder, recipe, excluded, calibration), ())


def of(source: Source, attempts: Attempts, excluded: Sequence[str]) -> Made:
    """The module with these layers in float, in addition to those that always are."""
    module = attempts.quantized(excluded)
    quantized, total = fx.count(module, fx.QUANTIZED), attempts.total(excluded)
    left = fx.left_in_float(module, fx.COMPUTING, attempts.modules(excluded))
    check_quantized("PyTorch", quantized, total, own_check(attempts.recipe.qconfig()), left)
    return Made(source, attempts, module, quantized, total)


def write(made: Made, recipe: Recipe, out: Path) -> None:
    """The file to ship and `quantized.json`."""
    save(made.module, batches(made.source.folder), out)
    counts = {"engine": recipe.backend, "quantized": made.quantized, "operators": made.total}
    formats.write(out, counts | fallback.record(made.source, WAY))


def exported(
    model: Path, calibration: Path, out: Path, recipe: Recipe, excluded: Sequence[str], refusal: Unsupported
) -> None:
    """By PT2E, in the form that needs no compiler. Its own refusal says less than FX's: that one is raised."""
    from images.torch import pt2e  # noqa: PLC0415 - it brings torchao, seconds that most recipes spare

    try:
        made = pt2e.best(model, calibration, "always" if recipe.reduced else "default", excluded)
    except Unsupported as error:
        print(f"PT2E: {error}")
        raise refusal from error
    pt2e.write(made, formats.EXPORTED, out, reason=str(refusal))
