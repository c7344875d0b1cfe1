"""Static quantization after training, by NNCF."""

from pathlib import Path

from images.openvino import biases, coverage
from images.openvino.recipe import Recipe, nncf
from images.openvino.refusals import refusals
from images.openvino.samples import Calibration
from images.openvino.session import batch_of, save, source_of, types_of
from shared.data import calibration_batches
from shared.data.samples import typed
from shared.measure import fixed_batch


def run(
    model: Path,
    calibration: Path,
    out: Path,
    *,
    preset: str,
    calibrate: str,
    model_type: str,
    smooth_quant: bool,
    fast_bias_correction: bool,
    overflow_fix: str,
    exclude: list[str],
    exclude_types: list[str],
) -> None:
    """Write `model.xml`, `model.bin` and `quantized.json`.

    Unsupported where NNCF refuses or leaves operators in float, or OpenVINO can't run what it made.
    """
    recipe = Recipe(preset, calibrate, model_type, smooth_quant, fast_bias_correction, overflow_fix)
    source = source_of(model)
    fixed_batch.refuse(batch_of(source))
    with typed(calibration, types_of(source)) as calibration:
        samples = Calibration(calibration)
        calibration_batches.check(calibration)
        biases.add_missing(source)
        arguments = recipe.arguments(source, len(samples), exclude, exclude_types)
        with refusals():
            quantized = nncf.quantize(source, nncf.Dataset(samples), **arguments, advanced_parameters=recipe.advanced)
        coverage.check(quantized, out)
        save(quantized, out)
