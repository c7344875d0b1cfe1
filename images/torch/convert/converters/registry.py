"""Registers our converters with onnx2torch, and what they share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx.helper import tensor_dtype_to_np_dtype
from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY, OperationDescription, add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult, onnx_mapping_from_node

Converter = Callable[[OnnxNode, OnnxGraph], OperationConverterResult]
Maker = Callable[[OnnxNode, OnnxGraph], torch.nn.Module | None]


def register_first_input(kind: str, *versions: int) -> Callable[[Maker], Maker]:
    """Register a converter whose module takes the node's first input only, for these opset versions.

    The other inputs are constants, which the module keeps as attributes: onnx2torch's own modules read them as data,
    which neither FX nor torch.export can trace. If the converter returns None, onnx2torch's own one is used, if there
    is one.
    """

    def register(maker: Maker) -> Maker:
        for version in versions:
            fallback = _CONVERTER_REGISTRY.pop(OperationDescription("", kind, version), None)
            add_converter(kind, version)(make_converter(maker, fallback))
        return maker

    return register


def replace_converter(kind: str, *versions: int) -> Callable[[Converter], Converter]:
    """Register a converter whose module takes all inputs, in the place of onnx2torch's if there is one."""

    def register(converter: Converter) -> Converter:
        for version in versions:
            _CONVERTER_REGISTRY.pop(OperationDescription("", kind, version), None)
            add_converter(kind, version)(converter)
        return converter

    return register


def make_converter(maker: Maker, fallback: Converter | None) -> Converter:
    def convert(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
        module = maker(node, graph)
        if module is not None:
            return OperationConverterResult(module, OnnxMapping(node.input_values[:1], node.output_values))
        if fallback is None:
            raise NotImplementedError(f"{node.operation_type} of what is computed is not implemented")
        return fallback(node, graph)

    return convert


def take_every_input(module: torch.nn.Module, node: OnnxNode) -> OperationConverterResult:
    """Return the result for a `module` that takes all of the node's inputs."""
    return OperationConverterResult(module, onnx_mapping_from_node(node))


def constant_input(node: OnnxNode, graph: OnnxGraph, position: int) -> list[Any] | None:
    """Return the constant at an input's position as a flat list; None if there is none, or if it is computed."""
    name = node.input_values[position] if position < len(node.input_values) else ""
    return graph.initializers[name].to_numpy().reshape(-1).tolist() if name in graph.initializers else None


def has_computed_input(node: OnnxNode, graph: OnnxGraph) -> bool:
    """Is an input other than the first one data?"""
    return any(name and name not in graph.initializers for name in node.input_values[1:])


def input_shape(node: OnnxNode, graph: OnnxGraph, position: int = 0) -> list[int]:
    """Return the shape of an input, 0 for unknown sizes. NotImplementedError if the rank is unknown."""
    name = node.input_values[position]
    if name in graph.initializers:
        return list(graph.initializers[name].proto.dims)
    if name not in graph.value_info or not graph.value_info[name].type.tensor_type.HasField("shape"):
        raise NotImplementedError(f"{node.operation_type} of a tensor whose rank is not known is not implemented")
    return [dim.dim_value for dim in graph.value_info[name].type.tensor_type.shape.dim]


def is_float_input(node: OnnxNode, graph: OnnxGraph) -> bool | None:
    """Is the first input of floats? None if the file doesn't tell."""
    name = node.input_values[0]
    if name in graph.initializers:
        elem_type = graph.initializers[name].proto.data_type
    else:
        elem_type = graph.value_info[name].type.tensor_type.elem_type if name in graph.value_info else 0
    return np.issubdtype(tensor_dtype_to_np_dtype(elem_type), np.floating) if elem_type else None


class Apply(torch.nn.Module):
    """Applies a function of one tensor, with constant further arguments."""

    def __init__(self, function: Callable[..., Any], **constants: Any) -> None:
        super().__init__()
        self.function, self.constants = function, constants

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, **self.constants)
