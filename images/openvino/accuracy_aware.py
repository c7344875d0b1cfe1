"""Accuracy-aware static quantization by NNCF: puts the layers back into float that cost too much (`exclude: auto`)."""

import json
import tempfile
from pathlib import Path
from typing import Any

from images.openvino import biases, computed_bytes, coverage
from images.openvino.recipe import Recipe, nncf
from images.openvino.refusals import refusals
from images.openvino.samples import Calibration
from images.openvino.session import (
    check_compiles,
    compile_model,
    fixed_batch_size,
    input_types,
    ov,
    read_model,
    read_source,
    save_model,
    wrap_compiled,
)
from images.openvino.validation import Validation
from shared.data import calibration_batches
from shared.data.samples import typed
from shared.measure import fixed_batch
from shared.quantization import already
from shared.quantization.layer_search import EXCLUDED, least
from shared.runner import threads

RANKING_SAMPLES = 500  # samples of `holdout` that the layers are ranked on
FULLY_QUANTIZED = "intermediate_model.xml"  # NNCF's name for the fully quantized model


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
    """Write `model.xml`, `model.bin`, `quantized.json` and `excluded.json`.

    `options` are the fields of Recipe. NNCF ranks the layers by what each costs on some samples of `holdout`, and puts
    them back until the score on all of it is at most `max_drop_pp` percentage points below the float model's. Latency
    plays no part. If `trials` are too few, the last model is kept, and `holds` is false.
    """
    already.refuse(model)
    recipe = Recipe(**options)
    source = read_source(model)
    fixed_batch.refuse(fixed_batch_size(source))
    with typed(calibration, input_types(source)) as calibration, typed(holdout, input_types(source)) as holdout:
        samples = Calibration(calibration)
        calibration_batches.check(calibration)
        biases.add_missing_biases(source)
        sample_bytes = computed_bytes.per_sample_of_model(source, holdout)
        validation = Validation(holdout, wrap_compiled(compile_model(source, threads.allowed())), trials, sample_bytes)
        arguments = recipe.arguments(source, len(samples), [], exclude_types)
        with tempfile.TemporaryDirectory(dir=out) as scratch, refusals():
            quantized = nncf.quantize_with_accuracy_control(
                source,
                nncf.Dataset(samples),
                nncf.Dataset(validation.items),
                validation,
                max_drop=max_drop_pp / 100,
                **arguments,
                advanced_quantization_parameters=recipe.advanced,
                advanced_accuracy_restorer_parameters=restorer_parameters(
                    trials, -(-RANKING_SAMPLES // validation.size), scratch
                ),
            )
            fully_quantized = read_model(Path(scratch) / FULLY_QUANTIZED)
            restored = coverage.integer_layers(check_compiles(fully_quantized))
            restored -= coverage.integer_layers(check_compiles(quantized))
        save_model(quantized, out)
        write_record(validation, sorted(restored), max_drop_pp, quantized, out)
        coverage.check_coverage(quantized, out, f"{len(restored)} layers were put back into float")


def restorer_parameters(trials: int, ranking_batches: int, scratch: str) -> nncf.AdvancedAccuracyRestorerParameters:
    """Return NNCF's settings for `trials` trials, of which the first is the fully quantized model, which it doesn't
    count.

    The layers are ranked by `ranked` batches, in this process: a stage has a limited number of threads.
    """
    return nncf.AdvancedAccuracyRestorerParameters(
        max_num_iterations=trials - 1,
        ranking_subset_size=ranking_batches,
        num_ranking_workers=1,
        intermediate_model_dir=scratch,
    )


def write_record(validation: Validation, restored: list[str], max_drop_pp: float, final: ov.Model, out: Path) -> None:
    """Write `excluded.json`; `holds` is decided by the score of the model that is kept."""
    exact, *scores = validation.scores
    holds = validation.score(wrap_compiled(check_compiles(final)), validation.items) >= least(exact, max_drop_pp)
    trials = [{"accuracy": score} for score in scores]
    contents = {"layers": restored, "trials": trials, "float_accuracy": exact, "holds": holds}
    (out / EXCLUDED).write_text(json.dumps(contents, indent=1))
