"""Why a quantized variant loses, in words: the diagnosis of its layers."""

from shared.sensitivity.layer_errors import Layer, Sensitivity


def diagnosis_text(sensitivity: Sensitivity) -> str:
    """Why the variant loses much; "" where it doesn't, or nothing is known."""
    diagnosis = sensitivity.diagnosis
    if diagnosis is None:
        return sensitivity.cause
    if diagnosis.kind == "everywhere":
        return (
            "no layer is to blame alone: "
            f"with the weights in float the {sensitivity.score} is still {sensitivity.activations_only:.1%}; "
            "the ranges are too wide everywhere, which a few unusual calibration samples can cause: "
            "look at them, leave them out (ONNX Runtime: outliers: 10), or take 16-bit activations"
        )
    layer = next((layer for layer in sensitivity.layers if layer.name == diagnosis.layer), None)
    return "" if layer is None else layer_text(diagnosis.kind, layer, sensitivity)


def layer_text(kind: str, layer: Layer, sensitivity: Sensitivity) -> str:
    (low, high), score = layer.range, sensitivity.score
    kept = f"kept in float, the {score} is {layer.kept:.1%} instead of {sensitivity.quantized_accuracy:.1%}"
    lead = f"{layer.name} ({layer.operator}), with outputs from {low:.4g} to {high:.4g}, loses most"
    return f"{lead}: {layer_fault(kind, layer, score)}; {kept}"


def layer_fault(kind: str, layer: Layer, score: str) -> str:
    """What of the layer is to blame."""
    if kind == "clipping":
        return f"{layer.clipped:.1%} of them lie beyond the quantized range and are cut off"
    if kind == "weights":
        weights = layer.only_weights or 0.0
        return f"its weights are too unlike for so few steps, and alone bring the {score} to {weights:.1%}"
    return f"that range is too wide for so few steps, and alone brings the {score} to {layer.only_activations:.1%}"
