"""Why a quantized variant loses much: the layer to blame, and what of it."""

from dataclasses import replace

from shared.sensitivity.layer_errors import Diagnosis, Layer, Sensitivity

LARGE_DROP = 0.05  # of the score: more than this is diagnosed
SHARE = 0.25  # of the loss: a layer with less of it is not to blame alone
CLIPPED = 0.01  # of a layer's outputs: more than this is named as the reason


def with_diagnosis(sensitivity: Sensitivity, chance: float) -> Sensitivity:
    """With the layer to blame where the loss is large, or nothing but the score of guessing, `chance`, is left."""
    lost = sensitivity.float_accuracy - sensitivity.quantized_accuracy
    large = lost > LARGE_DROP or sensitivity.quantized_accuracy <= chance < sensitivity.float_accuracy
    if not large or not sensitivity.layers:
        return sensitivity
    worst = max(sensitivity.layers, key=lambda layer: blame(layer, sensitivity))
    return replace(sensitivity, diagnosis=diagnose(worst, sensitivity))


def diagnose(worst: Layer, sensitivity: Sensitivity) -> Diagnosis:
    """What of the layer is to blame: of weights and activations, those that cost more when they alone are quantized."""
    if is_everywhere(worst, sensitivity):
        return Diagnosis("everywhere")
    if worst.only_weights is not None and worst.only_weights <= worst.only_activations:
        return Diagnosis("weights", worst.name)
    return Diagnosis("clipping" if worst.clipped > CLIPPED else "range", worst.name)


def is_everywhere(worst: Layer, sensitivity: Sensitivity) -> bool:
    """Do the activations lose, and no layer much of it, alone or kept in float? Then there is none to blame."""
    lost = sensitivity.float_accuracy - sensitivity.quantized_accuracy
    by_activations = sensitivity.float_accuracy - sensitivity.activations_only
    return by_activations > lost / 2 and blame(worst, sensitivity) < SHARE * lost


def blame(layer: Layer, sensitivity: Sensitivity) -> float:
    """What the layer wins when it alone is kept in float, and loses when it alone is quantized.

    Where two layers each break a model, the first is nothing; where errors only add up, the second is.
    """
    alone = layer.only_activations if layer.only_weights is None else min(layer.only_activations, layer.only_weights)
    return layer.kept - sensitivity.quantized_accuracy + sensitivity.float_accuracy - alone
