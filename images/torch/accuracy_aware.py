"""FX quantization that leaves in float what costs too much accuracy: `exclude: auto`."""

from pathlib import Path

import torch

from images.torch import quantize
from images.torch.convert import fallback, types_of
from images.torch.quantize import exclusion
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import Attempts
from images.torch.runtime import computed_bytes
from images.torch.runtime.formats import several
from images.torch.sensitivity.ablation import Ablation, ranked
from shared.data.samples import typed
from shared.data.subset import Subset
from shared.measure.predictions import Model
from shared.quantization.layer_search import Search, least, record
from shared.quantization.scorer import Scorer

RANKED = 500  # samples


def run(
    model: Path,
    calibration: Path,
    holdout: Path,
    out: Path,
    *,
    backend: str,
    observer: str,
    percentile: float,
    per_channel: bool,
    activation: str,
    weight: str,
    reduce_range: str,
    exclude_types: list[str],
    max_drop_pp: float,
    trials: int,
) -> None:
    """Write `model.pt`, `quantized.json` and `excluded.json`.

    The layers are ranked on calibration samples; the score that decides, at most `max_drop_pp` percentage points
    below the float model's, is that on `holdout`. Where no trial holds it, the best one is kept, and `holds` is false.
    """
    recipe = Recipe(backend, observer, percentile, per_channel, activation, weight, reduce_range)
    always = tuple(layer.name for layer in exclusion.select(exclusion.read(model), (), exclude_types))
    types = types_of(model)
    with (
        torch.no_grad(),
        fallback.sources(model) as graphs,
        typed(calibration, types) as calibration,
        typed(holdout, types) as holdout,
    ):
        first = fallback.best(graphs, lambda source: quantize.make(source, recipe, always, calibration))
        source, attempts = first.source, first.attempts
        scorer = Scorer(holdout, model_of(attempts.float), computed_bytes.of(attempts.float, holdout))
        search = Search(least(scorer.exact, max_drop_pp), trials)
        best = search.run(
            lambda names: scorer.score(model_of(attempts.quantized(names))),
            lambda: candidates(attempts, calibration),
        )
        quantize.write(quantize.of(source, attempts, best.excluded), recipe, out)
    record(search, best, scorer.exact, [*always, *best.excluded], out)


def candidates(attempts: Attempts, calibration: Path) -> tuple[str, ...]:
    """The layers that may be left in float, those to blame most first: never all, so that something is quantized."""
    names = ranked(Ablation(attempts, Subset(calibration, RANKED)))
    last = next((name for name in reversed(names) if attempts.total((name,)) < attempts.total(())), "")
    return tuple(name for name in names if name != last)


def model_of(module: torch.nn.Module) -> Model:
    return lambda batch: tuple(answer.numpy() for answer in several(module(*map(torch.from_numpy, batch))))
