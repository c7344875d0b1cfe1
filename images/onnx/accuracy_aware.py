"""Static quantization that leaves in float what costs too much accuracy: `exclude: auto`."""

import tempfile
from pathlib import Path

import onnx

from images.onnx import computed_bytes
from images.onnx.quantize import coverage
from images.onnx.quantize.calibrate import ranges
from images.onnx.quantize.exclusion import excluded
from images.onnx.quantize.outliers import without_outliers
from images.onnx.quantize.recipe import Recipe
from images.onnx.quantize.relu_check import check_dropped
from images.onnx.quantize.trials import Attempts
from images.onnx.session import FILE, load
from shared.quantization.layer_search import Search, least, record
from shared.quantization.scorer import Scorer
from shared.runner import threads


def run(
    model: Path,
    calibration: Path,
    holdout: Path,
    out: Path,
    *,
    activation: str,
    weight: str,
    per_channel: bool,
    symmetric_activation: bool,
    symmetric_weight: bool,
    reduce_range: bool,
    calibrate: str,
    percentile: float,
    outliers: float,
    exclude_types: list[str],
    max_drop_pp: float,
    trials: int,
) -> None:
    """Write `model.onnx`, `quantized.json` and `excluded.json`.

    The layers are ranked on calibration samples; the score that decides, at most `max_drop_pp` percentage points
    below the float model's, is that on `holdout`. Where no trial holds it, the best one is kept, and `holds` is false.
    """
    recipe = Recipe(activation, weight, per_channel, symmetric_activation, symmetric_weight, reduce_range)
    recipe.check()
    always = excluded(onnx.load(model / FILE), [], exclude_types)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        ordinary = without_outliers(model / FILE, calibration, outliers, Path(folder))
        found = ranges(model / FILE, ordinary, calibrate, percentile, Path(folder))
        attempts = Attempts(model, found, recipe, always, Path(folder))
        scorer = Scorer(holdout, load(model, threads.allowed()), computed_bytes.per_sample(model, holdout))
        search = Search(least(scorer.exact, max_drop_pp), trials)
        attempts.check()
        best = search.run(lambda names: scorer.score(attempts.load(names)), lambda: attempts.order(calibration))
        attempts.write(best.excluded, out / FILE)
    quantized = onnx.load(out / FILE)
    coverage.check(quantized, out)
    check_dropped(onnx.load(model / FILE), quantized, found, calibrate)
    record(search, best, scorer.exact, best.excluded, out)
