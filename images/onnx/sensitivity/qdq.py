"""What a QDQ file quantizes, and how: read from the file alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from images.onnx.graph.unique_names import MARK, tensor_names
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
    found, names = Scheme({}, {}), set(tensor_names(exact.graph))
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = (numpy_helper.to_array(arrays[name]) for name in node.input[1:3])
            found.activations[known(node.input[0].removesuffix(PASSED_ON), names)] = affine(scale, zero)
        elif node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            values, scale, zero = (numpy_helper.to_array(arrays[name]) for name in node.input)
            axis = next((helper.get_attribute_value(item) for item in node.attribute if item.name == "axis"), 1)
            name = known(node.input[0].removesuffix(STORED), names)
            found.constants.setdefault(name, dequantize(values, scale, zero, axis))
    check(found, exact)
    return found


def known(name: str, names: set[str]) -> str:
    """What the tensor is called in the float file, which has `names`.

    A mark is left in a name that would have been another's, and of a bias that layers share each has a copy with a
    number: the first one stands for all.
    """
    own = name
    while own.rstrip(MARK) not in names and own[-1:].isdigit():
        own = own[:-1]
    return next((each for each in (name, own, own.rstrip(MARK)) if each in names), name)


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
