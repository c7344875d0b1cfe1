"""Which layer loses how much, and why, when PyTorch's FX graph mode quantizes."""

import json
from pathlib import Path

import numpy as np
import torch

from images.torch import layers
from images.torch.attempts import Attempts
from images.torch.inspection import Inspection
from images.torch.recipe import Recipe
from images.torch.switches import Part
from shared import sensitivity, store
from shared.blame import with_cause
from shared.errors import Unsupported
from shared.images import IMAGES, LABELS
from shared.progress import report
from shared.search import EXCLUDED
from shared.sensitivity import Difference, Error, Extent, Layer, Sensitivity, accuracy, divergence
from shared.subset import Subset


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that PyTorch's FX graph mode didn't make."""
    settings = store.parameters(variant)
    if "observer" not in settings:
        raise Unsupported(f"only what PyTorch's FX graph mode quantized can be explained, and {variant.name} is not")
    recipe = Recipe(**{name: settings[name] for name in Recipe.__dataclass_fields__})
    subset = Subset(calibration / IMAGES, images)
    labels = np.load(calibration / LABELS)[subset.positions]
    with torch.no_grad():
        attempts = Attempts(model, recipe, excluded(variant, settings, model), calibration)
        sensitivity.write(explained(Inspection(attempts, subset), variant.name, labels), out)


def excluded(variant: Path, settings: dict[str, object], model: Path) -> tuple[str, ...]:
    """The names of the layers that the variant has in float, whoever chose them."""
    path = variant / EXCLUDED
    names = json.loads(path.read_text())["layers"] if path.exists() else settings.get("exclude", [])
    return tuple(layer.name for layer in layers.select(layers.read(model), names, settings["exclude_types"]))


def explained(inspection: Inspection, variant: str, labels: np.ndarray) -> Sensitivity:
    exact, quantized = inspection.exact, inspection.kept(())
    found = Sensitivity(
        variant=variant,
        images=len(labels),
        float_accuracy=accuracy(exact, labels),
        quantized_accuracy=accuracy(quantized, labels),
        weights_only=accuracy(inspection.only((), inspection.parts), labels),
        activations_only=accuracy(inspection.only(inspection.parts, ()), labels),
        float_kl=divergence(exact, quantized),
        cause="",
        layers=layers_of(inspection, labels),
    )
    return with_cause(found, exact.shape[1])


def layers_of(inspection: Inspection, labels: np.ndarray) -> tuple[Layer, ...]:
    """The most sensitive first."""
    differences, extents = compared(inspection)
    found = []
    for done, part in enumerate(inspection.parts, start=1):
        kept, extent = inspection.kept((part.name,)), extents[part.name]
        found.append(
            Layer(
                name=part.name,
                operator=part.operator,
                activation=differences[part.name].error(),
                weight=weight_error(part),
                range=(extent.least, extent.greatest),
                clipped=extent.clipped,
                only_weights=None if part.exact is None else accuracy(inspection.only((), (part,)), labels),
                only_activations=accuracy(inspection.only((part,), ()), labels),
                kept=accuracy(kept, labels),
                kept_kl=divergence(inspection.exact, kept),
            )
        )
        report(done, len(inspection.parts))
    return tuple(sorted(found, key=lambda layer: layer.kept_kl))


def compared(inspection: Inspection) -> tuple[dict[str, Difference], dict[str, Extent]]:
    """For each layer's output: how far it is off in the quantized model, and the range that it has in float."""
    differences = {part.name: Difference() for part in inspection.parts}
    extents = {part.name: Extent(part.switch.limits) for part in inspection.parts}
    for exact, quantized in inspection.outputs():
        for name, difference in differences.items():
            difference.add(exact[name], quantized[name])
            extents[name].add(exact[name])
    return differences, extents


def weight_error(part: Part) -> Error | None:
    if part.exact is None or part.rounded is None:
        return None
    difference = Difference()
    difference.add(part.exact.numpy(), part.rounded.numpy())
    return difference.error()
