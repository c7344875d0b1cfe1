"""Static quantization after training, by ONNX Runtime, as a QDQ graph."""

import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer, update_opset_version

from images.onnx.graph import unique_names
from images.onnx.graph.normalize import multiplied_biases, tidy
from images.onnx.quantize import coverage
from images.onnx.quantize.calibrate import ranges
from images.onnx.quantize.exclusion import excluded
from images.onnx.quantize.outliers import without_outliers
from images.onnx.quantize.recipe import QUANTIZABLE, TYPES, Recipe
from images.onnx.quantize.relu_check import check_dropped
from images.onnx.session import FILE, check_loads
from shared.errors import Unsupported
from shared.refusals import refusals, words

REFUSED = "ONNX Runtime's quantizer refuses this model"


def run(
    model: Path,
    exported: Path,
    calibration: Path,
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
    exclude: list[str],
    exclude_types: list[str],
    preprocess: bool,
) -> None:
    """Write `model.onnx` and `quantized.json`, from the folded `model` or, without `preprocess`, from `exported`.

    Unsupported where ONNX Runtime leaves operators in float, or can't run what it made.
    """
    recipe = Recipe(activation, weight, per_channel, symmetric_activation, symmetric_weight, reduce_range)
    recipe.check()
    source = (model if preprocess else exported) / FILE
    left_out = excluded(onnx.load(source), exclude, exclude_types)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        ordinary = without_outliers(source, calibration, outliers, Path(scratch))
        found = ranges(source, ordinary, calibrate, percentile, Path(scratch))
        write(source, found, recipe, left_out, out / FILE)
    check_loads(out / FILE)
    quantized = onnx.load(out / FILE)
    coverage.check(quantized, out)
    check_dropped(onnx.load(source), quantized, found, calibrate)


def write(source: Path, found: TensorsData, recipe: Recipe, left_out: Sequence[str], target: Path) -> None:
    """Quantize the graph in `source` by ranges that are known, the layers in `left_out` excepted."""
    weight, activation = TYPES[recipe.weight], TYPES[recipe.activation]
    plain = onnx.load(source)
    tidy(plain)
    marked, mark = unique_names.marked(plain)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, refusals(REFUSED, "onnxruntime"):
        copy = Path(scratch) / FILE  # ONNX Runtime writes beside it
        onnx.save(marked, copy)
        graph = load_model_with_shape_infer(copy)
        quantizer = QDQQuantizer(
            update_opset_version(graph, weight, activation),
            recipe.per_channel,
            recipe.reduce_range,
            weight,
            activation,
            TensorsData(found.calibration_method, {name + mark: data for name, data in found.items()}),
            [],
            [*unique_names.marked_nodes(plain, marked, left_out), *multiplied_biases(graph.graph)],
            QUANTIZABLE,
            recipe.extra_options,
        )
        with named(graph, mark):
            quantizer.quantize_model()
        unique_names.unmark(quantizer.model.model, mark)
        quantizer.model.save_model_to_file(target)


@contextmanager
def named(graph: onnx.ModelProto, mark: str) -> Iterator[None]:
    """Unsupported with the layer's name for a bias that ONNX Runtime can't quantize: it has the tensor's at most."""
    readers = {node.input[2]: node for node in graph.graph.node if len(node.input) > 2}
    try:
        yield
    except (ValueError, IndexError) as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            node = readers.get(str(frame.f_locals.get("bias_name", "")))
            if node is not None:
                where = f"{node.op_type} '{node.name.removesuffix(mark)}'"
                said = words(error).replace(mark, "")
                raise Unsupported(f"{REFUSED}: it can't quantize the bias of {where}: {said}") from error
        raise
