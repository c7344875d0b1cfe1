"""A check of what the quantizer drops: an activation function whose clipping the quantized range should do."""

import math

import onnx
from onnx import numpy_helper
from onnxruntime.quantization.calibrate import TensorsData

from shared.errors import Unsupported


def check_dropped(source: onnx.ModelProto, quantized: onnx.ModelProto, ranges: TensorsData, method: str) -> None:
    """Unsupported where a dropped Relu or Clip would let through what it cuts off.

    ONNX Runtime drops them, since values beyond the quantized range saturate at its ends. `distribution` gives ranges
    that are as wide below zero as above: without its Relu, a ResNet-8 answered at chance.
    """
    kept = {node.name for node in quantized.graph.node}
    constants = {tensor.name: tensor for tensor in source.graph.initializer}
    for node in source.graph.node:
        least, greatest = limits(node, constants)
        if node.name in kept or node.output[0] not in ranges:
            continue
        low, high = (float(value.item()) for value in ranges[node.output[0]].range_value)
        if low < least:
            raise Unsupported(
                f"ONNX Runtime drops {node.name} and lets values below {least:g} pass: "
                f"calibration by {method} gives its output a range from {low:.4g}"
            )
        if high > greatest:
            raise Unsupported(
                f"ONNX Runtime drops {node.name} and lets values above {greatest:g} pass: "
                f"calibration by {method} gives its output a range to {high:.4g}"
            )


def limits(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> tuple[float, float]:
    """Between which values this node cuts off; infinite where it doesn't, or where its limit is not known."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip":
        return -math.inf, math.inf
    named = dict(enumerate(node.input))
    given = {
        place: float(numpy_helper.to_array(constants[name]).item())
        for place, name in named.items()
        if place in (1, 2) and name in constants
    }
    return given.get(1, -math.inf), given.get(2, math.inf)
