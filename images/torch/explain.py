"""Measures how much each layer loses, and why, when PyTorch's FX graph mode quantizes."""

import json
from pathlib import Path
from typing import Any

import torch

from images.torch import quantize
from images.torch.convert import fallback, input_types
from images.torch.quantize import exclusion
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import TrialModels
from images.torch.runtime import formats
from images.torch.sensitivity.ablation import Ablation
from images.torch.sensitivity.fake_quant import QuantizedLayer
from shared.artifacts import store
from shared.data.samples import typed
from shared.data.subset import Subset
from shared.errors import Unsupported
from shared.numerics import ErrorAccumulator
from shared.quantization.layer_search import EXCLUDED
from shared.runner.progress import report
from shared.sensitivity import layer_errors
from shared.sensitivity.diagnosis import with_diagnosis
from shared.sensitivity.layer_errors import Error, Extent, Layer, Sensitivity


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that PyTorch's FX graph mode didn't make."""
    settings = store.parameters(variant)
    if "observer" not in settings:
        raise Unsupported(f"only what PyTorch's FX graph mode quantized can be explained, and {variant.name} is not")
    recipe = Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})
    path = formats.read(variant).get("path", quantize.METHOD)
    if not path.startswith(quantize.METHOD):
        raise Unsupported(f"{variant.name} was made by PT2E, which FX graph mode's layers don't explain")
    with (
        torch.no_grad(),
        fallback.open_sources(model) as graphs,
        typed(calibration, input_types(model)) as samples,
    ):
        source = next(source for source in graphs if source.method_name(quantize.METHOD) == path)
        trial_models = TrialModels(
            source.folder, recipe, excluded_layers(variant, settings, source.folder, model), samples
        )
        layer_errors.write(measure_sensitivity(Ablation(trial_models, Subset(samples, images)), variant.name), out)


def excluded_layers(variant: Path, settings: dict[str, Any], graph: Path, model: Path) -> tuple[str, ...]:
    """Return the names of the layers that the variant keeps in float: recorded ones, found in `graph`, or
    the recipe's.
    """
    path = variant / EXCLUDED
    if path.exists():
        return tuple(
            layer.name
            for layer in exclusion.select_excluded(
                exclusion.read_layers(graph), json.loads(path.read_text())["layers"], ()
            )
        )
    chosen = exclusion.select_excluded(
        exclusion.read_layers(model), settings.get("exclude", []), settings["exclude_types"]
    )
    return tuple(layer.name for layer in chosen)


def measure_sensitivity(ablation: Ablation, variant: str) -> Sensitivity:
    """Measure the loss of the variant as a whole and layer by layer."""
    evaluator, quantized = ablation.evaluator, ablation.answers_with_float_layers(())
    sensitivity = Sensitivity(
        variant=variant,
        images=len(quantized),
        float_accuracy=evaluator.score(evaluator.exact),
        quantized_accuracy=evaluator.score(quantized),
        weights_only=evaluator.score(ablation.answers_with_quantized((), ablation.layers)),
        activations_only=evaluator.score(ablation.answers_with_quantized(ablation.layers, ())),
        float_kl=evaluator.distance(quantized),
        cause="",
        layers=measure_layers(ablation),
        score=evaluator.name,
        distance=evaluator.measure,
    )
    return with_diagnosis(sensitivity, evaluator.chance())


def measure_layers(ablation: Ablation) -> tuple[Layer, ...]:
    """Measure each layer alone, the most sensitive first."""
    differences, extents = compare_outputs(ablation)
    evaluator, layers = ablation.evaluator, []
    for done, layer in enumerate(ablation.layers, start=1):
        kept, extent = ablation.answers_with_float_layers((layer.name,)), extents[layer.name]
        layers.append(
            Layer(
                name=layer.name,
                operator=layer.operator,
                activation=Error.of(differences[layer.name]),
                weight=weight_error(layer),
                range=(extent.least, extent.greatest),
                clipped=extent.clipped,
                only_weights=None
                if layer.exact is None
                else evaluator.score(ablation.answers_with_quantized((), (layer,))),
                only_activations=evaluator.score(ablation.answers_with_quantized((layer,), ())),
                kept=evaluator.score(kept),
                kept_kl=evaluator.distance(kept),
            )
        )
        report(done, len(ablation.layers))
    return tuple(sorted(layers, key=lambda layer: layer.kept_kl))


def compare_outputs(ablation: Ablation) -> tuple[dict[str, ErrorAccumulator], dict[str, Extent]]:
    """Compare each layer's output in float and quantized; return the difference and the float range, by name."""
    differences = {layer.name: ErrorAccumulator() for layer in ablation.layers}
    extents = {layer.name: Extent(layer.fake_quant.limits) for layer in ablation.layers}
    for exact, quantized in ablation.iterate_outputs():
        for name, difference in differences.items():
            difference.add(exact[name], quantized[name])
            extents[name].add(exact[name])
    return differences, extents


def weight_error(layer: QuantizedLayer) -> Error | None:
    if layer.exact is None or layer.rounded is None:
        return None
    difference = ErrorAccumulator()
    difference.add(layer.exact.numpy(), layer.rounded.numpy())
    return Error.of(difference)
