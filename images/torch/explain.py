"""Measures how much each layer loses, and why, when PyTorch's FX graph mode quantizes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from images.torch import quantize
from images.torch.convert import fallback, input_types
from images.torch.quantize import exclusion
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import TrialModels
from images.torch.refusals import refusals
from images.torch.runtime import formats
from images.torch.sensitivity.ablation import Ablation
from images.torch.sensitivity.fake_quant import QuantizedLayer
from shared.artifacts import store
from shared.data.samples import typed
from shared.data.subset import Subset
from shared.errors import Unsupported
from shared.numerics import ErrorAccumulator
from shared.quantization.layer_search import EXCLUDED
from shared.sensitivity import layer_errors, measurement
from shared.sensitivity.layer_errors import Error
from shared.sensitivity.measurement import LayerAnswers


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that PyTorch's FX graph mode didn't make."""
    settings = store.parameters(variant)
    if "observer" not in settings:
        raise Unsupported(f"only what PyTorch's FX graph mode quantized can be explained, and {variant.name} is not")
    recipe = Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})
    path = formats.read_json(variant).get("path", quantize.METHOD)
    if not path.startswith(quantize.METHOD):
        raise Unsupported(f"{variant.name} was made by PT2E, which FX graph mode's layers don't explain")
    with (
        torch.no_grad(),
        fallback.open_sources(model) as graphs,
        typed(calibration, input_types(model)) as samples,
        refusals("PyTorch can't run this model layer by layer"),
    ):
        source = next(source for source in graphs if source.method_name(quantize.METHOD) == path)
        trial_models = TrialModels(
            source.folder, recipe, excluded_layers(variant, settings, source.folder, model), samples
        )
        ablation = Ablation(trial_models, Subset(samples, images))
        sensitivity = measurement.measure_sensitivity(
            variant.name,
            ablation.evaluator,
            quantized=ablation.answers_with_float_layers(()),
            weights_only=ablation.answers_with_quantized((), ablation.layers),
            activations_only=ablation.answers_with_quantized(ablation.layers, ()),
            layers=iterate_layers(ablation),
            layer_count=len(ablation.layers),
        )
        layer_errors.write(sensitivity, out)


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


def iterate_layers(ablation: Ablation) -> Iterator[LayerAnswers]:
    """Yield the answers with each layer alone quantized, and alone in float, in the graph's order."""
    limits = {layer.name: layer.fake_quant.limits for layer in ablation.layers}
    outputs = measurement.compare_outputs(limits, ablation.iterate_outputs())
    for layer in ablation.layers:
        yield LayerAnswers(
            name=layer.name,
            operator=layer.operator,
            output=outputs[layer.name],
            weight=weight_error(layer),
            only_weights=None if layer.exact is None else ablation.answers_with_quantized((), (layer,)),
            only_activations=ablation.answers_with_quantized((layer,), ()),
            kept=ablation.answers_with_float_layers((layer.name,)),
        )


def weight_error(layer: QuantizedLayer) -> Error | None:
    """Return the error of the layer's weight, or None without one."""
    if layer.exact is None or layer.rounded is None:
        return None
    difference = ErrorAccumulator()
    difference.add(layer.exact.numpy(), layer.rounded.numpy())
    return Error.of(difference)
