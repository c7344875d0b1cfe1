"""Accuracy-aware static quantization: leaves the layers in float that cost too much accuracy (`exclude: auto`)."""

import tempfile
from pathlib import Path
from typing import Any

import onnx

from images.onnx import computed_bytes
from images.onnx.quantize import coverage
from images.onnx.quantize.calibrate import compute_ranges
from images.onnx.quantize.exclusion import select_excluded
from images.onnx.quantize.outliers import drop_outliers
from images.onnx.quantize.recipe import Recipe
from images.onnx.quantize.relu_check import check_dropped_activations
from images.onnx.quantize.trials import TrialModels
from images.onnx.session import FILE, load
from shared.quantization import already
from shared.quantization.layer_search import Search, least, record
from shared.quantization.scorer import Scorer
from shared.runner import threads


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
    """Write `model.onnx`, `quantized.json` and `excluded.json`.

    `options` are the fields of Recipe. The layers are ranked on calibration samples. A trial holds if its score on
    `holdout` is at most `max_drop_pp` percentage points below the float model's. If no trial holds, the best one is
    kept, and `holds` is false.
    """
    already.refuse(model)
    recipe = Recipe(**options)
    recipe.check_types()
    always_excluded = select_excluded(onnx.load(model / FILE), [], exclude_types)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        kept_samples = drop_outliers(model / FILE, calibration, recipe.outliers, Path(folder))
        tensor_ranges = compute_ranges(model / FILE, kept_samples, recipe.calibrate, recipe.percentile, Path(folder))
        trial_models = TrialModels(model, tensor_ranges, recipe, always_excluded, Path(folder))
        scorer = Scorer(holdout, load(model, threads.allowed()), computed_bytes.per_sample(model, holdout))
        search = Search(least(scorer.exact, max_drop_pp), trials)
        trial_models.check_recipe()
        best = search.run(
            lambda names: scorer.score(trial_models.load_model(names)), lambda: trial_models.rank_layers(calibration)
        )
        trial_models.write_model(best.excluded, out / FILE)
    quantized = onnx.load(out / FILE)
    coverage.check_coverage(quantized, out)
    check_dropped_activations(onnx.load(model / FILE), quantized, tensor_ranges, recipe.calibrate)
    record(search, best, scorer.exact, best.excluded, out)
