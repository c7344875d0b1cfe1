"""A check of what the quantizer drops: an activation function whose clipping the quantized range should do."""

import onnx
from onnx import numpy_helper
from onnxruntime.quantization.calibrate import TensorsData

from shared.errors import Unsupported


def check_dropped(source: onnx.ModelProto, quantized: onnx.ModelProto, ranges: TensorsData, method: str) -> None:
    """Unsupported where a dropped Relu or Clip would let through what it cuts off.

    ONNX Runtime drops them, since values below the quantized range saturate at its end. `distribution` gives ranges
    that are as wide below zero as above: without its Relu, a ResNet-8 answered at chance.
    """
    kept = {node.name for node in quantized.graph.node}
    constants = {tensor.name: tensor for tensor in source.graph.initializer}
    for node in source.graph.node:
        least = cut(node, constants)
        if least is None or node.name in kept or node.output[0] not in ranges:
            continue
        low = float(ranges[node.output[0]].range_value[0].item())
        if low < least:
            raise Unsupported(
                f"ONNX Runtime drops {node.name} and lets values below {least:g} pass: "
                f"calibration by {method} gives its output a range from {low:.4g}"
            )


def cut(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> float | None:
    """The value that this node cuts off below; None where it cuts none, or its limit is not known."""
    if node.op_type == "Relu":
        return 0.0
    if node.op_type == "Clip" and len(node.input) > 1 and node.input[1] in constants:
        return float(numpy_helper.to_array(constants[node.input[1]]).item())
    return None
