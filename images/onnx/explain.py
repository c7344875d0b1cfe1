"""Which layer loses how much, and why, when a variant is quantized."""

import tempfile
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from images.onnx.inspection import BATCH, Inspection
from images.onnx.parts import Part
from images.onnx.session import FILE, load
from shared import sensitivity, threads
from shared.blame import with_cause
from shared.progress import report
from shared.samples import LARGEST_KEPT
from shared.sensitivity import Difference, Error, Extent, Layer, Sensitivity
from shared.subset import Subset


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that isn't quantized statically, from `model`."""
    subset = Subset(calibration, images)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        inspection = Inspection(model / FILE, variant / FILE, subset, Path(folder))
        answers = inspection.of(load(variant, threads.allowed()))
        sensitivity.write(explained(inspection, variant.name, answers), out)


def explained(inspection: Inspection, variant: str, answers: np.ndarray) -> Sensitivity:
    judge, constants = inspection.judge, inspection.scheme.constants
    found = Sensitivity(
        variant=variant,
        images=len(answers),
        float_accuracy=judge.score(judge.exact),
        quantized_accuracy=judge.score(answers),
        weights_only=judge.score(inspection.answers(constants)),
        activations_only=judge.score(inspection.answers(inspection.names - constants.keys())),
        float_kl=judge.distance(answers),
        cause="",
        layers=layers_of(inspection),
        score=judge.name,
        distance=judge.measure,
    )
    return with_cause(found, judge.chance())


def layers_of(inspection: Inspection) -> tuple[Layer, ...]:
    differences, extents = compared(inspection)
    judge = inspection.judge
    weights = {part.name: weight_error(inspection, part) for part in inspection.parts}
    found = []
    for done, part in enumerate(sorted(inspection.parts, key=inspection.distance), start=1):
        extent, constants = extents[part.output], part.constants
        found.append(
            Layer(
                name=part.name,
                operator=part.operator,
                activation=differences[part.output].error(),
                weight=weights[part.name],
                range=(extent.least, extent.greatest),
                clipped=extent.clipped,
                only_weights=judge.score(inspection.answers(constants)) if constants else None,
                only_activations=judge.score(inspection.answers(part.activation)),
                kept=judge.score(inspection.kept(part)),
                kept_kl=inspection.distance(part),
            )
        )
        report(done, len(inspection.parts))
    return tuple(found)


def compared(inspection: Inspection) -> tuple[dict[str, Difference], dict[str, Extent]]:
    """For each layer's output: how far it is off in the quantized model, and the range that it has in float."""
    activations = inspection.scheme.activations
    differences = {part.output: Difference() for part in inspection.parts}
    extents = {name: Extent(activations[name].limits) if name in activations else Extent() for name in differences}
    for batch in inspection.subset.batches(BATCH, LARGEST_KEPT):
        exact = inspection.switches.outputs(batch, ())
        quantized = inspection.switches.outputs(batch, inspection.names)
        for name, difference in differences.items():
            difference.add(exact[name], quantized[name])
            extents[name].add(exact[name])
    return differences, extents


def weight_error(inspection: Inspection, part: Part) -> Error | None:
    """Of the largest constant: a bias is quantized to 32 bits."""
    if not part.constants:
        return None
    quantized = inspection.scheme.constants
    name = max(part.constants, key=lambda name: quantized[name].size)
    [exact] = [tensor for tensor in inspection.model.graph.initializer if tensor.name == name]
    difference = Difference()
    difference.add(numpy_helper.to_array(exact), quantized[name])
    return difference.error()
