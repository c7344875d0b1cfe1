"""What a QDQ file quantizes, and how: read from the file alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from shared.errors import Unsupported

Array = NDArray[Any]
STORED, PASSED_ON = "_quantized", "_QuantizeLinear_Input"  # what ONNX Runtime adds to the names of tensors


@dataclass(frozen=True)
class Affine:
    """An activation's quantization: `scale` a step, codes from `least` to `greatest` counted from the zero point."""

    scale: float
    least: int
    greatest: int

    @property
    def limits(self) -> tuple[float, float]:
        """Beyond them a value is clipped: half a step further than the least and the greatest one there is."""
        return (self.least - 0.5) * self.scale, (self.greatest + 0.5) * self.scale


@dataclass(frozen=True)
class Scheme:
    """By the float file's names: its quantized activations, and its constants as they are after quantization."""

    activations: dict[str, Affine]
    constants: dict[str, Array]


def read(quantized: onnx.ModelProto, exact: onnx.ModelProto) -> Scheme:
    """Unsupported where `quantized` is no QDQ file, or not made from `exact`."""
    arrays = {tensor.name: tensor for tensor in quantized.graph.initializer}
    found = Scheme({}, {})
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = (numpy_helper.to_array(arrays[name]) for name in node.input[1:3])
            found.activations[node.input[0].removesuffix(PASSED_ON)] = affine(scale, zero)
        elif node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            values = [numpy_helper.to_array(arrays[name]) for name in node.input]
            axis = next((helper.get_attribute_value(item) for item in node.attribute if item.name == "axis"), 1)
            found.constants[node.input[0].removesuffix(STORED)] = dequantize(*values, axis=axis)
    check(found, exact)
    return found


def affine(scale: Array, zero: Array) -> Affine:
    kind, middle = np.iinfo(zero.dtype), int(zero.item())
    return Affine(float(scale.item()), kind.min - middle, kind.max - middle)


def dequantize(values: Array, scale: Array, zero: Array, axis: int) -> Array:
    if scale.size > 1:
        shape = [-1 if number == axis else 1 for number in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((values.astype(np.float64) - zero) * scale, np.float32).reshape(values.shape)


def check(found: Scheme, exact: onnx.ModelProto) -> None:
    if not found.activations:
        raise Unsupported("explain compares layer by layer what is quantized statically: this variant isn't")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in exact.graph.initializer}
    made = {item.name for item in exact.graph.input} | {name for node in exact.graph.node for name in node.output}
    same = all(shapes.get(name) == values.shape for name, values in found.constants.items())
    if not same or not found.activations.keys() <= made:
        raise Unsupported(
            "explain compares with onnx.fp32: this variant was made from another file (preprocess: false)"
        )
