"""Measures how much each layer loses when a variant is quantized, and why."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from onnx import numpy_helper

from images.onnx.sensitivity.ablation import Ablation
from images.onnx.sensitivity.graph_layers import GraphLayer
from images.onnx.session import FILE, load
from shared.data.samples import Array
from shared.data.subset import Subset
from shared.numerics import ErrorAccumulator
from shared.runner import threads
from shared.sensitivity import layer_errors, measurement
from shared.sensitivity.layer_errors import UNLIMITED, Error
from shared.sensitivity.measurement import LayerAnswers


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that isn't quantized statically from `model`."""
    subset = Subset(calibration, images)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        ablation = Ablation(model / FILE, variant / FILE, subset, Path(folder))
        sensitivity = measurement.measure_sensitivity(
            variant.name,
            ablation.evaluator,
            quantized=ablation.collect_answers(load(variant, threads.allowed())),
            weights_only=ablation.answers_with_quantized(ablation.scheme.constants),
            activations_only=ablation.answers_with_quantized(ablation.tensors - ablation.scheme.constants.keys()),
            layers=iterate_layers(ablation),
            layer_count=len(ablation.layers),
        )
        layer_errors.write(sensitivity, out)


def iterate_layers(ablation: Ablation) -> Iterator[LayerAnswers]:
    """Yield the answers with each layer alone quantized, and alone in float, in the graph's order."""
    activations = ablation.scheme.activations
    names = [layer.output for layer in ablation.layers]
    limits = {name: activations[name].limits if name in activations else UNLIMITED for name in names}
    outputs = measurement.compare_outputs(limits, iterate_outputs(ablation))
    for layer in ablation.layers:
        yield LayerAnswers(
            name=layer.name,
            operator=layer.operator,
            output=outputs[layer.output],
            weight=weight_error(ablation, layer),
            only_weights=ablation.answers_with_quantized(layer.constants) if layer.constants else None,
            only_activations=ablation.answers_with_quantized(layer.activation),
            kept=ablation.answers_with_float_layer(layer),
        )


def iterate_outputs(ablation: Ablation) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
    """Yield by batch the outputs of all nodes in float, and with everything quantized, by name."""
    for batch in ablation.batches():
        yield ablation.fake_quant.run_layers(batch, ()), ablation.fake_quant.run_layers(batch, ablation.tensors)


def weight_error(ablation: Ablation, layer: GraphLayer) -> Error | None:
    """Return the error of the layer's largest constant, its weight (biases have 32 bits), or None without constants."""
    if not layer.constants:
        return None
    quantized = ablation.scheme.constants
    name = max(layer.constants, key=lambda name: quantized[name].size)
    [exact] = [tensor for tensor in ablation.model.graph.initializer if tensor.name == name]
    errors = ErrorAccumulator()
    errors.add(numpy_helper.to_array(exact), quantized[name])
    return Error.of(errors)
