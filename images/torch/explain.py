"""Which layer loses how much, and why, when PyTorch's FX graph mode quantizes."""

import json
from pathlib import Path
from typing import Any

import torch

from images.torch import quantize
from images.torch.convert import fallback, types_of
from images.torch.quantize import exclusion
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import Attempts
from images.torch.runtime import formats
from images.torch.sensitivity.ablation import Ablation
from images.torch.sensitivity.fake_quant import Part
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
    path = formats.read(variant).get("path", quantize.WAY)
    if not path.startswith(quantize.WAY):
        raise Unsupported(f"{variant.name} was made by PT2E, which FX graph mode's layers don't explain")
    with (
        torch.no_grad(),
        fallback.sources(model) as graphs,
        typed(calibration, types_of(model)) as shown,
    ):
        source = next(source for source in graphs if source.path(quantize.WAY) == path)
        attempts = Attempts(source.folder, recipe, excluded(variant, settings, source.folder, model), shown)
        layer_errors.write(explained(Ablation(attempts, Subset(shown, images)), variant.name), out)


def excluded(variant: Path, settings: dict[str, Any], graph: Path, model: Path) -> tuple[str, ...]:
    """The names of the layers that the variant has in float, whoever chose them: found in the `graph` that it was made
    of, or named by a recipe for that of `model`.
    """
    path = variant / EXCLUDED
    if path.exists():
        return tuple(
            layer.name for layer in exclusion.select(exclusion.read(graph), json.loads(path.read_text())["layers"], ())
        )
    chosen = exclusion.select(exclusion.read(model), settings.get("exclude", []), settings["exclude_types"])
    return tuple(layer.name for layer in chosen)


def explained(ablation: Ablation, variant: str) -> Sensitivity:
    judge, quantized = ablation.judge, ablation.kept(())
    found = Sensitivity(
        variant=variant,
        images=len(quantized),
        float_accuracy=judge.score(judge.exact),
        quantized_accuracy=judge.score(quantized),
        weights_only=judge.score(ablation.only((), ablation.parts)),
        activations_only=judge.score(ablation.only(ablation.parts, ())),
        float_kl=judge.distance(quantized),
        cause="",
        layers=layers_of(ablation),
        score=judge.name,
        distance=judge.measure,
    )
    return with_diagnosis(found, judge.chance())


def layers_of(ablation: Ablation) -> tuple[Layer, ...]:
    """The most sensitive first."""
    errors, extents = compared(ablation)
    judge, found = ablation.judge, []
    for done, part in enumerate(ablation.parts, start=1):
        kept, extent = ablation.kept((part.name,)), extents[part.name]
        found.append(
            Layer(
                name=part.name,
                operator=part.operator,
                activation=Error.of(errors[part.name]),
                weight=weight_error(part),
                range=(extent.least, extent.greatest),
                clipped=extent.clipped,
                only_weights=None if part.exact is None else judge.score(ablation.only((), (part,))),
                only_activations=judge.score(ablation.only((part,), ())),
                kept=judge.score(kept),
                kept_kl=judge.distance(kept),
            )
        )
        report(done, len(ablation.parts))
    return tuple(sorted(found, key=lambda layer: layer.kept_kl))


def compared(ablation: Ablation) -> tuple[dict[str, ErrorAccumulator], dict[str, Extent]]:
    """For each layer's output: how far it is off in the quantized model, and the range that it has in float."""
    errors = {part.name: ErrorAccumulator() for part in ablation.parts}
    extents = {part.name: Extent(part.switch.limits) for part in ablation.parts}
    for exact, quantized in ablation.outputs():
        for name, tensor_errors in errors.items():
            tensor_errors.add(exact[name], quantized[name])
            extents[name].add(exact[name])
    return errors, extents


def weight_error(part: Part) -> Error | None:
    if part.exact is None or part.rounded is None:
        return None
    errors = ErrorAccumulator()
    errors.add(part.exact.numpy(), part.rounded.numpy())
    return Error.of(errors)
