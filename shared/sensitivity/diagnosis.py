"""Diagnoses why a quantized variant loses much: the layer that causes the loss, and what of it."""

from dataclasses import replace

from shared.sensitivity.layer_errors import Diagnosis, Layer, Sensitivity

LARGE_DROP = 0.05  # of the score: a larger loss is diagnosed
SHARE = 0.25  # of the loss: a layer that causes less of it is not its only cause
CLIPPED = 0.01  # of a layer's outputs: if more are clipped, clipping is named as the reason


def with_diagnosis(sensitivity: Sensitivity, chance: float) -> Sensitivity:
    """Add a diagnosis if the loss is large, or if the score is no better than that of guessing, `chance`."""
    loss = sensitivity.float_accuracy - sensitivity.quantized_accuracy
    is_large = loss > LARGE_DROP or sensitivity.quantized_accuracy <= chance < sensitivity.float_accuracy
    if not is_large or not sensitivity.layers:
        return sensitivity
    worst = max(sensitivity.layers, key=lambda layer: attribute_loss(layer, sensitivity))
    return replace(sensitivity, diagnosis=diagnose_layer(worst, sensitivity))


def diagnose_layer(worst: Layer, sensitivity: Sensitivity) -> Diagnosis:
    """Diagnose the layer: the cause is its weights or its activations, whichever cost more quantized alone."""
    if is_everywhere(worst, sensitivity):
        return Diagnosis("everywhere")
    if worst.only_weights is not None and worst.only_weights <= worst.only_activations:
        return Diagnosis("weights", worst.name)
    return Diagnosis("clipping" if worst.clipped > CLIPPED else "range", worst.name)


def is_everywhere(worst: Layer, sensitivity: Sensitivity) -> bool:
    """Do the activations cause the loss, and no layer much of it, alone or kept in float?"""
    loss = sensitivity.float_accuracy - sensitivity.quantized_accuracy
    loss_by_activations = sensitivity.float_accuracy - sensitivity.activations_only
    return loss_by_activations > loss / 2 and attribute_loss(worst, sensitivity) < SHARE * loss


def attribute_loss(layer: Layer, sensitivity: Sensitivity) -> float:
    """Return what the score gains if the layer alone is in float, plus what it loses if the layer alone is quantized.

    If two layers each break a model, the first is zero; if errors only add up, the second is.
    """
    alone = layer.only_activations if layer.only_weights is None else min(layer.only_activations, layer.only_weights)
    return layer.kept - sensitivity.quantized_accuracy + sensitivity.float_accuracy - alone
