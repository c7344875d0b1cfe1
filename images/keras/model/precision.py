"""Models that were saved to compute in 16 bits: they are loaded to compute in float32, as rows named fp32 do."""

from collections.abc import Iterator
from typing import Any

import keras

HALF = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")  # of Keras 3 and of Keras 2
WIDENED = "the model was saved to compute in {}: it computes in float32 here, which changes its answers a little"
QUANTIZED = (
    "{} layers with weights are quantized already, by Keras ({}): rows named fp32 compute these as Keras does, and no "
    "recipe quantizes the model again"
)


def widen(config: Any) -> Any:
    """A copy of a model's configuration in which every layer and tensor of 16-bit floats is of float32."""
    if isinstance(config, dict):
        return {key: "float32" if key == "dtype" and is_half(item) else widen(item) for key, item in config.items()}
    return [widen(item) for item in config] if isinstance(config, list) else config


def is_half(dtype: Any) -> bool:
    """Is this type, or policy of types, one of 16-bit floats?"""
    return policy_name(dtype) in HALF


def policy_name(dtype: Any) -> str:
    """The name of a type, or of a policy that is written as `{class_name, config}`; "" for another policy."""
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if dtype.get("class_name") in POLICIES and isinstance(inner, dict) else ""
    return dtype if isinstance(dtype, str) else ""


def half_names(config: Any) -> set[str]:
    """The names of 16-bit types and policies in a configuration."""
    if isinstance(config, dict):
        own = {policy_name(item) for key, item in config.items() if key == "dtype"} & set(HALF)
        return own.union(*map(half_names, config.values()))
    return set().union(*map(half_names, config)) if isinstance(config, list) else set()


def quantization_modes(model: keras.Model) -> list[str]:
    """In which modes Keras has quantized layers of the model, as "int8 by Keras"."""
    modes = {getattr(layer, "quantization_mode", None) for layer in model._flatten_layers(include_self=False)}
    return [f"{mode} by Keras" for mode in sorted(filter(None, modes))]


def describe_precision(config: Any, model: keras.Model) -> Iterator[str]:
    """A note for each way in which the `model`, or the `configuration` it was saved with, is not one of float32."""
    names = half_names(config)
    if names:
        yield WIDENED.format(" and ".join(sorted(name for name in names if "mixed" in name) or sorted(names)))
    layers = [layer for layer in model._flatten_layers(include_self=False) if layer.weights]
    modes = [layer.quantization_mode for layer in layers if getattr(layer, "quantization_mode", None)]
    if modes:
        yield QUANTIZED.format(f"{len(modes)} of {len(layers)}", ", ".join(sorted(set(modes))))
