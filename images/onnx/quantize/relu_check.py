"""Checks the activation functions that the quantizer drops because the quantized range should do their clipping."""

import math

import onnx
from onnx import numpy_helper
from onnxruntime.quantization.calibrate import TensorsData

from shared.errors import Unsupported


def check_dropped_activations(
    source: onnx.ModelProto, quantized: onnx.ModelProto, ranges: TensorsData, method: str
) -> None:
    """Raise Unsupported if a dropped Relu or Clip would let values pass that it cuts off.

    ONNX Runtime drops them, since values beyond the quantized range saturate at its ends. But `distribution` gives
    ranges that are as wide below zero as above: without its Relu, a ResNet-8 answered at chance.
    """
    remaining = {node.name for node in quantized.graph.node}
    constants = {tensor.name: tensor for tensor in source.graph.initializer}
    for node in source.graph.node:
        least, greatest = clip_limits(node, constants)
        if node.name in remaining or node.output[0] not in ranges:
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


def clip_limits(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> tuple[float, float]:
    """Return the least and the greatest value that the node lets pass, infinite if it doesn't clip or the limit is
    unknown.
    """
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip":
        return -math.inf, math.inf
    names = dict(enumerate(node.input))
    by_position = {
        position: float(numpy_helper.to_array(constants[name]).item())
        for position, name in names.items()
        if position in (1, 2) and name in constants
    }
    return by_position.get(1, -math.inf), by_position.get(2, math.inf)
