"""Accuracy-aware FX quantization: leaves the layers in float that cost too much accuracy (`exclude: auto`)."""

from pathlib import Path
from typing import Any

import torch

from images.torch import quantize
from images.torch.convert import fallback, input_types, wrap_module
from images.torch.quantize import exclusion
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import TrialModels
from images.torch.refusals import refusals
from images.torch.runtime import computed_bytes
from images.torch.sensitivity.ablation import Ablation, rank_layers
from shared.data.samples import typed
from shared.data.subset import Subset
from shared.quantization import already
from shared.quantization.layer_search import Search, least, record
from shared.quantization.scorer import Scorer

RANKING_SAMPLES = 500  # calibration samples that the layers are ranked on


def run(
    model: Path,
    calibration: Path,
    holdout: Path,
    out: Path,
    *,
    exclude_types: list[str],
    max_drop_pp: float,
    trials: int,
    **options: Any,
) -> None:
    """Write `model.pt`, `quantized.json` and `excluded.json`.

    `options` are the fields of Recipe. The layers are ranked on calibration samples. A trial holds if its score on
    `holdout` is at most `max_drop_pp` percentage points below the float model's. If no trial holds, the best one is
    kept, and `holds` is false.
    """
    already.refuse(model)
    recipe = Recipe(**options)
    always_excluded = tuple(
        layer.name for layer in exclusion.select_excluded(exclusion.read_layers(model), (), exclude_types)
    )
    types = input_types(model)
    with (
        torch.no_grad(),
        fallback.open_sources(model) as sources,
        typed(calibration, types) as calibration,
        typed(holdout, types) as holdout,
    ):
        initial = fallback.choose_best(
            sources, lambda source: quantize.quantize_source(source, recipe, always_excluded, calibration)
        )
        source, trial_models = initial.source, initial.trial_models
        scorer = Scorer(
            holdout, wrap_module(trial_models.float), computed_bytes.per_sample_of_call(trial_models.float, holdout)
        )
        search = Search(least(scorer.exact, max_drop_pp), trials)
        with refusals("PyTorch can't run this model in 8 bits"):
            best = search.run(
                lambda names: scorer.score(wrap_module(trial_models.quantize(names))),
                lambda: excludable_layers(trial_models, calibration),
            )
        quantize.write_variant(quantize.quantize_without(source, trial_models, best.excluded), recipe, out)
    record(search, best, scorer.exact, [*always_excluded, *best.excluded], out)


def excludable_layers(trial_models: TrialModels, calibration: Path) -> tuple[str, ...]:
    """Return the layers that may be left in float, the most sensitive first: all but one, so that something is
    quantized.
    """
    names = rank_layers(Ablation(trial_models, Subset(calibration, RANKING_SAMPLES)))
    required = next(
        (name for name in reversed(names) if trial_models.count_layers((name,)) < trial_models.count_layers(())), ""
    )
    return tuple(name for name in names if name != required)
