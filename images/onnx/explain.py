"""Which layer loses how much, and why, when a variant is quantized."""

import tempfile
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from images.onnx.sensitivity.ablation import Ablation
from images.onnx.sensitivity.graph_layers import Part
from images.onnx.session import FILE, load
from shared.data.subset import Subset
from shared.numerics import ErrorAccumulator
from shared.runner import threads
from shared.runner.progress import report
from shared.sensitivity import layer_errors
from shared.sensitivity.diagnosis import with_diagnosis
from shared.sensitivity.layer_errors import Error, Extent, Layer, Sensitivity


def run(variant: Path, model: Path, calibration: Path, out: Path, *, images: int) -> None:
    """Write `layers.json`. Unsupported for a variant that isn't quantized statically, from `model`."""
    subset = Subset(calibration, images)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        ablation = Ablation(model / FILE, variant / FILE, subset, Path(folder))
        answers = ablation.of(load(variant, threads.allowed()))
        layer_errors.write(explained(ablation, variant.name, answers), out)


def explained(ablation: Ablation, variant: str, answers: np.ndarray) -> Sensitivity:
    judge, constants = ablation.judge, ablation.scheme.constants
    found = Sensitivity(
        variant=variant,
        images=len(answers),
        float_accuracy=judge.score(judge.exact),
        quantized_accuracy=judge.score(answers),
        weights_only=judge.score(ablation.answers(constants)),
        activations_only=judge.score(ablation.answers(ablation.names - constants.keys())),
        float_kl=judge.distance(answers),
        cause="",
        layers=layers_of(ablation),
        score=judge.name,
        distance=judge.measure,
    )
    return with_diagnosis(found, judge.chance())


def layers_of(ablation: Ablation) -> tuple[Layer, ...]:
    errors, extents = compared(ablation)
    judge = ablation.judge
    weights = {part.name: weight_error(ablation, part) for part in ablation.parts}
    found = []
    for done, part in enumerate(sorted(ablation.parts, key=ablation.distance), start=1):
        extent, constants = extents[part.output], part.constants
        found.append(
            Layer(
                name=part.name,
                operator=part.operator,
                activation=Error.of(errors[part.output]),
                weight=weights[part.name],
                range=(extent.least, extent.greatest),
                clipped=extent.clipped,
                only_weights=judge.score(ablation.answers(constants)) if constants else None,
                only_activations=judge.score(ablation.answers(part.activation)),
                kept=judge.score(ablation.kept(part)),
                kept_kl=ablation.distance(part),
            )
        )
        report(done, len(ablation.parts))
    return tuple(found)


def compared(ablation: Ablation) -> tuple[dict[str, ErrorAccumulator], dict[str, Extent]]:
    """For each layer's output: how far it is off in the quantized model, and the range that it has in float."""
    activations = ablation.scheme.activations
    errors = {part.output: ErrorAccumulator() for part in ablation.parts}
    extents = {name: Extent(activations[name].limits) if name in activations else Extent() for name in errors}
    for batch in ablation.batches():
        exact = ablation.switches.outputs(batch, ())
        quantized = ablation.switches.outputs(batch, ablation.names)
        for name, tensor_errors in errors.items():
            tensor_errors.add(exact[name], quantized[name])
            extents[name].add(exact[name])
    return errors, extents


def weight_error(ablation: Ablation, part: Part) -> Error | None:
    """Of the largest constant: a bias is quantized to 32 bits."""
    if not part.constants:
        return None
    quantized = ablation.scheme.constants
    name = max(part.constants, key=lambda name: quantized[name].size)
    [exact] = [tensor for tensor in ablation.model.graph.initializer if tensor.name == name]
    errors = ErrorAccumulator()
    errors.add(numpy_helper.to_array(exact), quantized[name])
    return Error.of(errors)
