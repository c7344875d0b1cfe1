"""Recipes for the tests of the static quantizer, and readers of the files that it writes."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from images.onnx import quantize
from images.onnx.session import load
from tests.images import declared, models

RECIPES = {
    "int8": {"activation": "int8", "weight": "int8", "per_channel": False, "calibrate": "minmax"},
    "uint8": {"activation": "uint8", "weight": "uint8", "per_channel": False, "calibrate": "minmax"},
    "u8s8": {"activation": "uint8", "weight": "int8", "per_channel": True, "calibrate": "minmax"},
}
DEFAULTS = declared.defaults("onnx", "quantize")
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def run(model: Path, calibration: Path, out: Path, **recipe: object) -> onnx.ModelProto:
    """Run the stage with the defaults of stages.toml; the exported file is beside the folded one."""
    quantize.run(model, model.parent / "exported", calibration, out, **{**DEFAULTS, **recipe})
    return onnx.load(out / models.FILE)


def answers(variant: Path, images: np.ndarray) -> np.ndarray:
    """Return the answers of a model with one input and one output, on one thread."""
    [output] = load(variant, 1)((images,))
    return output


def dequantized(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
    """The operators that compute, and by name the initializers."""
    computing = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    return computing, {tensor.name: tensor for tensor in model.graph.initializer}


def stored(model: onnx.ModelProto, position: int) -> list[tuple[onnx.TensorProto | None, onnx.TensorProto]]:
    """What each operator's operand `position` is dequantized from: (values or None, scale, zero point)."""
    computing, constants = dequantized(model)
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    sources = [makers[node.input[position]] for node in computing]
    return [tuple(constants.get(name) for name in source.input) for source in sources]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node if "Linear" not in node.op_type]
