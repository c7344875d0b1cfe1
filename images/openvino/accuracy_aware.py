"""Static quantization that puts back into float what costs too much accuracy, by NNCF: `exclude: auto`."""

import json
import tempfile
from pathlib import Path

from images.openvino import biases, computed_bytes, coverage
from images.openvino.recipe import Recipe, nncf
from images.openvino.refusals import refusals
from images.openvino.samples import Calibration
from images.openvino.session import (
    answering,
    batch_of,
    check_compiles,
    compiled,
    ov,
    read,
    save,
    source_of,
    types_of,
)
from images.openvino.validation import Validation
from shared.data import calibration_batches
from shared.data.samples import typed
from shared.measure import fixed_batch
from shared.quantization.layer_search import EXCLUDED, least
from shared.runner import threads

RANKED = 500  # samples of `holdout` that layers are ranked by
WHOLE = "intermediate_model.xml"  # NNCF's name for what it quantized before it put anything back


def run(
    model: Path,
    calibration: Path,
    holdout: Path,
    out: Path,
    *,
    preset: str,
    calibrate: str,
    model_type: str,
    smooth_quant: bool,
    fast_bias_correction: bool,
    overflow_fix: str,
    exclude_types: list[str],
    max_drop_pp: float,
    trials: int,
) -> None:
    """Write `model.xml`, `model.bin`, `quantized.json` and `excluded.json`.

    NNCF ranks the layers by what each costs on some images of `holdout`, and puts them back until the accuracy on all
    of it is at most `max_drop_pp` percentage points below the float model's. It looks at accuracy alone, never at the
    time. Where `trials` are not enough, the last one is kept, and `holds` is false.
    """
    recipe = Recipe(preset, calibrate, model_type, smooth_quant, fast_bias_correction, overflow_fix)
    source = source_of(model)
    fixed_batch.refuse(batch_of(source))
    with typed(calibration, types_of(source)) as calibration, typed(holdout, types_of(source)) as holdout:
        samples = Calibration(calibration)
        calibration_batches.check(calibration)
        biases.add_missing(source)
        each = computed_bytes.of(source, holdout)
        validation = Validation(holdout, answering(compiled(source, threads.allowed())), trials, each)
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
                advanced_accuracy_restorer_parameters=restorer(trials, -(-RANKED // validation.size), scratch),
            )
            whole = read(Path(scratch) / WHOLE)
            put_back = coverage.integer_layers(check_compiles(whole))
            put_back -= coverage.integer_layers(check_compiles(quantized))
        save(quantized, out)
        record(validation, sorted(put_back), max_drop_pp, quantized, out)
        coverage.check(quantized, out, f"{len(put_back)} layers were put back into float")


def restorer(trials: int, ranked: int, scratch: str) -> nncf.AdvancedAccuracyRestorerParameters:
    """The first trial is the model quantized whole; NNCF counts those after it, and ranks by `ranked` batches.

    One worker: a stage has its threads.
    """
    return nncf.AdvancedAccuracyRestorerParameters(
        max_num_iterations=trials - 1, ranking_subset_size=ranked, num_ranking_workers=1, intermediate_model_dir=scratch
    )


def record(validation: Validation, put_back: list[str], max_drop_pp: float, final: ov.Model, out: Path) -> None:
    """Write `excluded.json`; the score that decides is that of the model that is kept."""
    exact, *tried = validation.scores
    holds = validation.score(answering(check_compiles(final)), validation.items) >= least(exact, max_drop_pp)
    trials = [{"accuracy": score} for score in tried]
    found = {"layers": put_back, "trials": trials, "float_accuracy": exact, "holds": holds}
    (out / EXCLUDED).write_text(json.dumps(found, indent=1))
