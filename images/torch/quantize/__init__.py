"""Static post-training quantization by PyTorch's FX graph mode, or by PT2E if FX can't trace the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from images.torch.convert import example_batches, fallback, input_types
from images.torch.convert.fallback import Source
from images.torch.quantize import exclusion, fx
from images.torch.quantize.recipe import Recipe, check_in_eager_mode
from images.torch.quantize.trials import TrialModels, set_engine
from images.torch.runtime import formats
from images.torch.runtime.script import save_module
from shared.data.samples import typed
from shared.errors import Unsupported
from shared.quantization import already
from shared.quantization.guards import check_quantized

METHOD = "fx"


def run(
    model: Path,
    calibration: Path,
    out: Path,
    *,
    exclude: list[str],
    exclude_types: list[str],
    **options: Any,
) -> None:
    """Write `model.pt`, or PT2E's `model.pt2`, and `quantized.json`; `options` are the fields of Recipe.

    Unsupported if most layers are left in float.
    """
    already.refuse(model)
    recipe = Recipe(**options)
    excluded = [layer.name for layer in exclusion.select_excluded(exclusion.read_layers(model), exclude, exclude_types)]
    set_engine(recipe.backend)
    with torch.no_grad(), typed(calibration, input_types(model)) as calibration:
        try:
            with fallback.open_sources(model) as sources:
                quantized_module = fallback.choose_best(
                    sources, lambda source: quantize_source(source, recipe, excluded, calibration)
                )
                write_variant(quantized_module, recipe, out)
        except Unsupported as error:
            if not recipe.like_pt2e:
                raise
            fall_back_to_pt2e(model, calibration, out, recipe, excluded, error)


@dataclass(frozen=True)
class QuantizedModule:
    """A quantized module, with its source."""

    source: Source
    trial_models: TrialModels
    module: torch.fx.GraphModule
    quantized: int
    total: int


def quantize_source(source: Source, recipe: Recipe, excluded: Sequence[str], calibration: Path) -> QuantizedModule:
    """Quantize the graph. Unsupported if it can't be traced, or fewer than half of its layers are quantized."""
    return quantize_without(source, TrialModels(source.folder, recipe, excluded, calibration), ())


def quantize_without(source: Source, trial_models: TrialModels, excluded: Sequence[str]) -> QuantizedModule:
    """Quantize with these layers in float, in addition to those that always are."""
    module = trial_models.quantize(excluded)
    quantized, total = fx.count_products(module, fx.QUANTIZED), trial_models.count_layers(excluded)
    in_float = fx.describe_layers_in_float(module, fx.COMPUTING, trial_models.excluded_modules(excluded))
    check_quantized("PyTorch", quantized, total, check_in_eager_mode(trial_models.recipe.qconfig()), in_float)
    return QuantizedModule(source, trial_models, module, quantized, total)


def write_variant(quantized_module: QuantizedModule, recipe: Recipe, out: Path) -> None:
    """Write the file to ship and `quantized.json`."""
    save_module(quantized_module.module, example_batches(quantized_module.source.folder), out)
    counts = {"engine": recipe.backend, "quantized": quantized_module.quantized, "operators": quantized_module.total}
    formats.write_json(out, counts | fallback.describe_source(quantized_module.source, METHOD))


def fall_back_to_pt2e(
    model: Path, calibration: Path, out: Path, recipe: Recipe, excluded: Sequence[str], refusal: Unsupported
) -> None:
    """Quantize by PT2E, in the form that needs no compiler; if that fails too, raise FX's refusal, which says more."""
    from images.torch import pt2e  # noqa: PLC0415 - it brings torchao, seconds that most recipes spare

    try:
        program = pt2e.quantize_model(model, calibration, "always" if recipe.reduced else "default", excluded)
    except Unsupported as error:
        print(f"PT2E: {error}")
        raise refusal from error
    pt2e.write_variant(program, formats.EXPORTED, out, reason=str(refusal))
