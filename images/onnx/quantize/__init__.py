"""Static post-training quantization by ONNX Runtime, as a QDQ graph."""

import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer, update_opset_version

from images.onnx.graph import unique_names
from images.onnx.graph.normalize import gemms_with_scaled_bias, normalize_model
from images.onnx.quantize import coverage
from images.onnx.quantize.calibrate import compute_ranges
from images.onnx.quantize.exclusion import select_excluded
from images.onnx.quantize.outliers import drop_outliers
from images.onnx.quantize.recipe import QUANTIZABLE, TYPES, Recipe
from images.onnx.quantize.relu_check import check_dropped_activations
from images.onnx.session import FILE, check_loads
from shared.errors import Unsupported
from shared.quantization import already
from shared.refusals import describe_error, refusals

REFUSED = "ONNX Runtime's quantizer refuses this model"


def run(
    model: Path,
    exported: Path,
    calibration: Path,
    out: Path,
    *,
    exclude: list[str],
    exclude_types: list[str],
    preprocess: bool,
    **options: Any,
) -> None:
    """Write `model.onnx` and `quantized.json`, from the folded `model` or, without `preprocess`, from `exported`.

    `options` are the fields of Recipe. Unsupported if ONNX Runtime leaves most operators in float, or can't run the
    file that it wrote.
    """
    already.refuse(model)
    recipe = Recipe(**options)
    recipe.check_types()
    source = (model if preprocess else exported) / FILE
    excluded = select_excluded(onnx.load(source), exclude, exclude_types)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        kept_samples = drop_outliers(source, calibration, recipe.outliers, Path(scratch))
        tensor_ranges = compute_ranges(source, kept_samples, recipe.calibrate, recipe.percentile, Path(scratch))
        write_quantized(source, tensor_ranges, recipe, excluded, out / FILE)
    check_loads(out / FILE)
    quantized = onnx.load(out / FILE)
    coverage.check_coverage(quantized, out)
    check_dropped_activations(onnx.load(source), quantized, tensor_ranges, recipe.calibrate)


def write_quantized(
    source: Path, tensor_ranges: TensorsData, recipe: Recipe, excluded: Sequence[str], target: Path
) -> None:
    """Quantize the graph in `source` with these ranges, except the layers in `excluded`, and write it to `target`."""
    weight, activation = TYPES[recipe.weight], TYPES[recipe.activation]
    normalized = onnx.load(source)
    normalize_model(normalized)
    marked, mark = unique_names.mark_names(normalized)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, refusals(REFUSED, "onnxruntime"):
        copy = Path(scratch) / FILE  # ONNX Runtime writes temporary files beside its input
        onnx.save(marked, copy)
        graph = load_model_with_shape_infer(copy)
        quantizer = QDQQuantizer(
            update_opset_version(graph, weight, activation),
            recipe.per_channel,
            recipe.reduce_range,
            weight,
            activation,
            TensorsData(tensor_ranges.calibration_method, {name + mark: data for name, data in tensor_ranges.items()}),
            [],
            [*unique_names.marked_node_names(normalized, marked, excluded), *gemms_with_scaled_bias(graph.graph)],
            QUANTIZABLE,
            recipe.extra_options,
        )
        with name_refused_bias(graph, mark):
            quantizer.quantize_model()
        unique_names.remove_marks(quantizer.model.model, mark)
        quantizer.model.save_model_to_file(target)


@contextmanager
def name_refused_bias(graph: onnx.ModelProto, mark: str) -> Iterator[None]:
    """Raise Unsupported with the layer's name if its bias can't be quantized: ONNX Runtime names the tensor at most."""
    readers = {node.input[2]: node for node in graph.graph.node if len(node.input) > 2}
    try:
        yield
    except (ValueError, IndexError) as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            node = readers.get(str(frame.f_locals.get("bias_name", "")))
            if node is not None:
                where = f"{node.op_type} '{node.name.removesuffix(mark)}'"
                raise Unsupported(
                    f"{REFUSED}: it can't quantize the bias of {where}: {describe_error(error)}"
                ) from error
        raise
