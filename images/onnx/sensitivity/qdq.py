"""Reads from a QDQ file what it quantizes, and how."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from images.onnx.graph.unique_names import MARK, tensor_names
from shared.errors import Unsupported

Array = NDArray[Any]
QUANTIZED_SUFFIX, INPUT_SUFFIX = "_quantized", "_QuantizeLinear_Input"  # ONNX Runtime appends them to names of tensors


@dataclass(frozen=True)
class Affine:
    """An activation's quantization: `scale` is one step; codes go from `least` to `greatest`, counted from the zero
    point.
    """

    scale: float
    least: int
    greatest: int

    @property
    def limits(self) -> tuple[float, float]:
        """The values beyond which a value is clipped: half a step below the least and above the greatest code."""
        return (self.least - 0.5) * self.scale, (self.greatest + 0.5) * self.scale


@dataclass(frozen=True)
class Scheme:
    """The quantized activations, and the constants as they are after quantization, by the float file's names."""

    activations: dict[str, Affine]
    constants: dict[str, Array]


def read_scheme(quantized: onnx.ModelProto, exact: onnx.ModelProto) -> Scheme:
    """Read the scheme of `quantized`. Unsupported if it is no QDQ file, or wasn't made from `exact`."""
    arrays = {tensor.name: tensor for tensor in quantized.graph.initializer}
    scheme, names = Scheme({}, {}), set(tensor_names(exact.graph))
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero_point = (numpy_helper.to_array(arrays[name]) for name in node.input[1:3])
            scheme.activations[float_name(node.input[0].removesuffix(INPUT_SUFFIX), names)] = read_affine(
                scale, zero_point
            )
        elif node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            values, scale, zero = (numpy_helper.to_array(arrays[name]) for name in node.input)
            axis = next((helper.get_attribute_value(item) for item in node.attribute if item.name == "axis"), 1)
            name = float_name(node.input[0].removesuffix(QUANTIZED_SUFFIX), names)
            scheme.constants.setdefault(name, dequantize(values, scale, zero, axis))
    check_scheme(scheme, exact)
    return scheme


def float_name(name: str, names: set[str]) -> str:
    """Return the name of the tensor in the float file, which has the names `names`.

    A mark is kept in a name that would otherwise equal another's. Layers that share a bias each have a numbered copy of
    it; the first one stands for all.
    """
    base = name
    while base.rstrip(MARK) not in names and base[-1:].isdigit():
        base = base[:-1]
    return next((candidate for candidate in (name, base, base.rstrip(MARK)) if candidate in names), name)


def read_affine(scale: Array, zero_point_array: Array) -> Affine:
    """Read the quantization of an activation from its scale and zero point."""
    code_range, zero_point = np.iinfo(zero_point_array.dtype), int(zero_point_array.item())
    return Affine(float(scale.item()), code_range.min - zero_point, code_range.max - zero_point)


def dequantize(values: Array, scale: Array, zero: Array, axis: int) -> Array:
    """Return the float32 values of a quantized constant; `axis` is that of its channels."""
    if scale.size > 1:
        shape = [-1 if number == axis else 1 for number in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((values.astype(np.float64) - zero) * scale, np.float32).reshape(values.shape)


def check_scheme(scheme: Scheme, exact: onnx.ModelProto) -> None:
    """Raise Unsupported if nothing is quantized statically, or the scheme doesn't match the float model."""
    if not scheme.activations:
        raise Unsupported("explain compares statically quantized variants layer by layer: this variant isn't one")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in exact.graph.initializer}
    tensors = {item.name for item in exact.graph.input} | {name for node in exact.graph.node for name in node.output}
    same_constants = all(shapes.get(name) == values.shape for name, values in scheme.constants.items())
    if not same_constants or not scheme.activations.keys() <= tensors:
        raise Unsupported(
            "explain compares with onnx.fp32: this variant was made from another file (preprocess: false)"
        )
