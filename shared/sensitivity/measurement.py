"""Measures how much a variant loses by quantization, as a whole and layer by layer, from answers that an image
collects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.data.samples import Array
from shared.numerics import ErrorAccumulator
from shared.runner.progress import report
from shared.sensitivity.diagnosis import with_diagnosis
from shared.sensitivity.evaluator import Evaluator
from shared.sensitivity.layer_errors import Error, Extent, Layer, Sensitivity


@dataclass
class OutputErrors:
    """The error of a layer's output, quantized against float, and the extent of the float output, batch after batch."""

    extent: Extent = field(default_factory=Extent)
    error: ErrorAccumulator = field(default_factory=ErrorAccumulator)

    def add(self, exact: Array, quantized: Array) -> None:
        self.error.add(exact, quantized)
        self.extent.add(exact)


@dataclass(frozen=True)
class LayerAnswers:
    """What an image observed of one layer. Answers are the evaluated output of all samples, (samples, …).

    `only_weights` and `only_activations`: with nothing else quantized, None for a layer without a weight. `kept`: with
    this layer alone in float. `weight`: the error of the layer's weight, if it has one.
    """

    name: str
    operator: str
    output: OutputErrors
    weight: Error | None
    only_weights: Array | None
    only_activations: Array
    kept: Array


def compare_outputs(
    limits: Mapping[str, tuple[float, float]], batches: Iterable[tuple[Mapping[str, Array], Mapping[str, Array]]]
) -> dict[str, OutputErrors]:
    """Compare outputs by name over `batches` of (float, quantized) outputs.

    `limits` has the values of each output beyond which its quantized form is clipped.
    """
    outputs = {name: OutputErrors(Extent(ends)) for name, ends in limits.items()}
    for exact, quantized in batches:
        for name, output in outputs.items():
            output.add(exact[name], quantized[name])
    return outputs


def measure_sensitivity(
    variant: str,
    evaluator: Evaluator,
    *,
    quantized: Array,
    weights_only: Array,
    activations_only: Array,
    layers: Iterable[LayerAnswers],
    layer_count: int,
) -> Sensitivity:
    """Measure the loss of `variant`, the most sensitive of its layers first, and diagnose it where it is large.

    `quantized` are its answers, `weights_only` and `activations_only` those with nothing else quantized. `layers` may
    be an iterator that computes the answers of each layer, `layer_count` their number.
    """
    measured = []
    for done, layer in enumerate(layers, start=1):
        measured.append(measure_layer(layer, evaluator))
        report(done, layer_count)
    sensitivity = Sensitivity(
        variant=variant,
        images=len(quantized),
        float_accuracy=evaluator.score(evaluator.exact),
        quantized_accuracy=evaluator.score(quantized),
        weights_only=evaluator.score(weights_only),
        activations_only=evaluator.score(activations_only),
        float_kl=evaluator.distance(quantized),
        cause="",
        layers=tuple(sorted(measured, key=lambda layer: layer.kept_kl)),
        score=evaluator.name,
        distance=evaluator.distance_name,
    )
    return with_diagnosis(sensitivity, evaluator.chance())


def measure_layer(layer: LayerAnswers, evaluator: Evaluator) -> Layer:
    """Score the answers that were collected for one layer."""
    extent = layer.output.extent
    return Layer(
        name=layer.name,
        operator=layer.operator,
        activation=Error.of(layer.output.error),
        weight=layer.weight,
        range=(extent.least, extent.greatest),
        clipped=extent.clipped,
        only_weights=None if layer.only_weights is None else evaluator.score(layer.only_weights),
        only_activations=evaluator.score(layer.only_activations),
        kept=evaluator.score(layer.kept),
        kept_kl=evaluator.distance(layer.kept),
    )
