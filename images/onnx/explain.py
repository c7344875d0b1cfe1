"""Measures how much each layer loses when a variant is quantized, and why."""

import tempfile
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from images.onnx.sensitivity.ablation import Ablation
from images.onnx.sensitivity.graph_layers import GraphLayer
from images.onnx.session import FILE, load
from shared.data.subset import Subset
from shared.numerics import ErrorAccumulator
from shared.runner import threads
from shared.runner.progress import report
from shared.sensitivity import layer_errors
from shared.sensitivity.diagnosis import with_diagnosis
from shared.sensitivity.layer_errors import Error, Extent, Layer, Sensitivity


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that isn't quantized statically from `model`."""
    subset = Subset(calibration, images)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        ablation = Ablation(model / FILE, variant / FILE, subset, Path(folder))
        answers = ablation.collect_answers(load(variant, threads.allowed()))
        layer_errors.write(measure_sensitivity(ablation, variant.name, answers), out)


def measure_sensitivity(ablation: Ablation, variant: str, answers: np.ndarray) -> Sensitivity:
    """Measure the loss of the variant, whose answers to the samples are `answers`, as a whole and layer by layer."""
    evaluator, constants = ablation.evaluator, ablation.scheme.constants
    sensitivity = Sensitivity(
        variant=variant,
        images=len(answers),
        float_accuracy=evaluator.score(evaluator.exact),
        quantized_accuracy=evaluator.score(answers),
        weights_only=evaluator.score(ablation.answers_with_quantized(constants)),
        activations_only=evaluator.score(ablation.answers_with_quantized(ablation.tensors - constants.keys())),
        float_kl=evaluator.distance(answers),
        cause="",
        layers=measure_layers(ablation),
        score=evaluator.name,
        distance=evaluator.measure,
    )
    return with_diagnosis(sensitivity, evaluator.chance())


def measure_layers(ablation: Ablation) -> tuple[Layer, ...]:
    """Measure each layer alone, the most sensitive first."""
    differences, extents = compare_outputs(ablation)
    evaluator = ablation.evaluator
    weights = {layer.name: weight_error(ablation, layer) for layer in ablation.layers}
    layers = []
    for done, layer in enumerate(sorted(ablation.layers, key=ablation.distance_with_float_layer), start=1):
        extent, constants = extents[layer.output], layer.constants
        layers.append(
            Layer(
                name=layer.name,
                operator=layer.operator,
                activation=Error.of(differences[layer.output]),
                weight=weights[layer.name],
                range=(extent.least, extent.greatest),
                clipped=extent.clipped,
                only_weights=evaluator.score(ablation.answers_with_quantized(constants)) if constants else None,
                only_activations=evaluator.score(ablation.answers_with_quantized(layer.activation)),
                kept=evaluator.score(ablation.answers_with_float_layer(layer)),
                kept_kl=ablation.distance_with_float_layer(layer),
            )
        )
        report(done, len(ablation.layers))
    return tuple(layers)


def compare_outputs(ablation: Ablation) -> tuple[dict[str, ErrorAccumulator], dict[str, Extent]]:
    """Compare each layer's output in float and quantized; return the difference and the float range, by output name."""
    activations = ablation.scheme.activations
    differences = {layer.output: ErrorAccumulator() for layer in ablation.layers}
    extents = {name: Extent(activations[name].limits) if name in activations else Extent() for name in differences}
    for batch in ablation.batches():
        exact = ablation.fake_quant.run_layers(batch, ())
        quantized = ablation.fake_quant.run_layers(batch, ablation.tensors)
        for name, difference in differences.items():
            difference.add(exact[name], quantized[name])
            extents[name].add(exact[name])
    return differences, extents


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
