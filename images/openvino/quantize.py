"""Static post-training quantization by NNCF."""

from pathlib import Path
from typing import Any

from images.openvino import biases, coverage
from images.openvino.recipe import Recipe, nncf
from images.openvino.refusals import refusals
from images.openvino.samples import Calibration
from images.openvino.session import fixed_batch_size, input_types, read_source, save_model
from shared.data import calibration_batches
from shared.data.samples import typed
from shared.measure import fixed_batch
from shared.quantization import already


def run(
    model: Path,
    calibration: Path,
    out: Path,
    *,
    exclude: list[str],
    exclude_types: list[str],
    **options: Any,
) -> None:
    """Write `model.xml`, `model.bin` and `quantized.json`.

    `options` are the fields of Recipe. Unsupported if NNCF refuses the model or leaves most operators in float, or if
    OpenVINO can't run the result.
    """
    already.refuse(model)
    recipe = Recipe(**options)
    source = read_source(model)
    fixed_batch.refuse(fixed_batch_size(source))
    with typed(calibration, input_types(source)) as calibration:
        samples = Calibration(calibration)
        calibration_batches.check(calibration)
        biases.add_missing_biases(source)
        arguments = recipe.arguments(source, len(samples), exclude, exclude_types)
        with refusals():
            quantized = nncf.quantize(source, nncf.Dataset(samples), **arguments, advanced_parameters=recipe.advanced)
        coverage.check_coverage(quantized, out)
        save_model(quantized, out)
