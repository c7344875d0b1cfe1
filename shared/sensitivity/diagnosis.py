"""Why a quantized variant loses much: one plain sentence about the layer to blame."""

from dataclasses import replace

from shared.sensitivity.layer_errors import Layer, Sensitivity

LARGE_DROP = 0.05  # of the score: more than this is explained by a sentence
SHARE = 0.25  # of the loss: a layer with less of it is not to blame alone
CLIPPED = 0.01  # of a layer's outputs: more than this is named as the reason


def with_cause(found: Sensitivity, chance: float) -> Sensitivity:
    """With a plain sentence about the layer to blame where the loss is large, or nothing but chance is left."""
    lost = found.float_accuracy - found.quantized_accuracy
    large = lost > LARGE_DROP or found.quantized_accuracy <= chance < found.float_accuracy
    if not large or not found.layers:
        return found
    worst = max(found.layers, key=lambda layer: blame(layer, found))
    return replace(found, cause=everywhere(found) if is_everywhere(worst, found) else sentence(worst, found))


def is_everywhere(worst: Layer, found: Sensitivity) -> bool:
    """Do the activations lose, and no layer much of it, alone or kept in float? Then there is none to blame."""
    lost = found.float_accuracy - found.quantized_accuracy
    by_activations = found.float_accuracy - found.activations_only
    return by_activations > lost / 2 and blame(worst, found) < SHARE * lost


def everywhere(found: Sensitivity) -> str:
    return (
        "no layer is to blame alone: "
        f"with the weights in float the {found.score} is still {found.activations_only:.1%}; "
        "the ranges are too wide everywhere, which a few unusual calibration samples can cause: "
        "look at them, leave them out (ONNX Runtime: outliers: 10), or take 16-bit activations"
    )


def blame(layer: Layer, found: Sensitivity) -> float:
    """What the layer wins when it alone is kept in float, and loses when it alone is quantized.

    Where two layers each break a model, the first is nothing; where errors only add up, the second is.
    """
    alone = layer.only_activations if layer.only_weights is None else min(layer.only_activations, layer.only_weights)
    return layer.kept - found.quantized_accuracy + found.float_accuracy - alone


def sentence(layer: Layer, found: Sensitivity) -> str:
    low, high = layer.range
    kept = f"kept in float, the {found.score} is {layer.kept:.1%} instead of {found.quantized_accuracy:.1%}"
    lead = f"{layer.name} ({layer.operator}), with outputs from {low:.4g} to {high:.4g}, loses most"
    return f"{lead}: {why(layer, found.score)}; {kept}"


def why(layer: Layer, score: str) -> str:
    """What of the layer is to blame: of weights and activations, those that cost more when they alone are quantized."""
    if layer.only_weights is not None and layer.only_weights <= layer.only_activations:
        return f"its weights are too unlike for so few steps, and alone bring the {score} to {layer.only_weights:.1%}"
    if layer.clipped > CLIPPED:
        return f"{layer.clipped:.1%} of them lie beyond the quantized range and are cut off"
    return f"that range is too wide for so few steps, and alone brings the {score} to {layer.only_activations:.1%}"
