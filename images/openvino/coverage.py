"""Counts the quantized operators: a quantizer may leave operators in float without a message."""

import json
from dataclasses import dataclass
from pathlib import Path

from images.openvino.session import check_compiles, ov
from shared.quantization.guards import check_quantized

FILE = "quantized.json"
COMPUTING = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
MOVING = ("Concatenation", "Const", "FakeQuantize", "Input", "Reorder", "Reshape", "Split", "StridedSlice", "Transpose")
INTEGERS = ("i8", "u8")


@dataclass(frozen=True)
class Layer:
    """A layer that OpenVINO runs, which may stand for several of the file's."""

    name: str
    kind: str
    integer: bool


def check_coverage(model: ov.Model, out: Path, own_words: str = "") -> None:
    """Write `quantized.json`. Unsupported if OpenVINO can't run the model, or runs more than half of it in float."""
    quantized, total = count_quantized(check_compiles(model))
    check_quantized("NNCF", quantized, total, own_words)
    write_counts(quantized, total, out)


def write_counts(quantized: int, total: int, out: Path) -> None:
    """Write the counts to `quantized.json`."""
    (out / FILE).write_text(json.dumps({"quantized": quantized, "operators": total}))


def count_quantized(model: ov.CompiledModel) -> tuple[int, int]:
    """Return the numbers of (quantized, all) convolutions and matrix products, by the types that OpenVINO runs them in.

    A FakeQuantize in the file is only a request: if OpenVINO can't fuse it into an integer operator, it computes in
    float.
    """
    computing = [layer for layer in runtime_layers(model) if layer.kind in COMPUTING]
    return sum(layer.integer for layer in computing), len(computing)


def integer_layers(model: ov.CompiledModel) -> set[str]:
    """Return the names of the layers that compute on integers, except those that only move values."""
    return {layer.name for layer in runtime_layers(model) if layer.integer and layer.kind not in MOVING}


def runtime_layers(model: ov.CompiledModel) -> list[Layer]:
    """Return the layers as OpenVINO runs them."""
    runtime = []
    for node in model.get_runtime_model().get_ops():
        info = {key: node.get_rt_info()[key].astype(str) for key in ("layerType", "runtimePrecision")}
        name = node.get_friendly_name().split("/WithoutBiases")[0]
        runtime.append(Layer(name, info["layerType"], info["runtimePrecision"] in INTEGERS))
    return runtime
