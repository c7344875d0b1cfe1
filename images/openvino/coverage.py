"""How many of the operators that compute are quantized: a quantizer may leave them in float without a word."""

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
    """One that OpenVINO runs, which may be several of the file's."""

    name: str
    kind: str
    integer: bool


def check(model: ov.Model, out: Path, own_words: str = "") -> None:
    """Write `quantized.json`. Unsupported where OpenVINO can't run the model, or runs more than half of it in float."""
    quantized, total = count(check_compiles(model))
    check_quantized("NNCF", quantized, total, own_words)
    record(quantized, total, out)


def record(quantized: int, total: int, out: Path) -> None:
    (out / FILE).write_text(json.dumps({"quantized": quantized, "operators": total}))


def count(model: ov.CompiledModel) -> tuple[int, int]:
    """(quantized, all) operators that compute, by the types that OpenVINO really runs them in.

    A FakeQuantize in the file is a wish: what OpenVINO can't join to an operator on integers, it computes in float.
    """
    computing = [layer for layer in layers(model) if layer.kind in COMPUTING]
    return sum(layer.integer for layer in computing), len(computing)


def integer_layers(model: ov.CompiledModel) -> set[str]:
    """The names of the layers that are computed on integers, those that only move values excepted."""
    return {layer.name for layer in layers(model) if layer.integer and layer.kind not in MOVING}


def layers(model: ov.CompiledModel) -> list[Layer]:
    found = []
    for node in model.get_runtime_model().get_ops():
        told = {key: node.get_rt_info()[key].astype(str) for key in ("layerType", "runtimePrecision")}
        name = node.get_friendly_name().split("/WithoutBiases")[0]
        found.append(Layer(name, told["layerType"], told["runtimePrecision"] in INTEGERS))
    return found
