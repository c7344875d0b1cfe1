"""What every converter of ours is added by, to onnx2torch's own registry, and the parts that they share."""

from collections.abc import Callable
from typing import Any

import torch
from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY, OperationDescription, add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult, onnx_mapping_from_node

Converter = Callable[[OnnxNode, OnnxGraph], OperationConverterResult]
Maker = Callable[[OnnxNode, OnnxGraph], torch.nn.Module | None]


def first_input(kind: str, *versions: int) -> Callable[[Maker], Maker]:
    """Register what makes a module of a node, the module taking the node's first input alone.

    The rest are constants, which it has as attributes: onnx2torch's own modules look at them as data, which neither FX
    nor torch.export can follow. Where the maker gives None, onnx2torch's own converter makes it, if there is one.
    """

    def register(maker: Maker) -> Maker:
        for version in versions:
            own = _CONVERTER_REGISTRY.pop(OperationDescription("", kind, version), None)
            add_converter(kind, version)(converter(maker, own))
        return maker

    return register


def converter(maker: Maker, own: Converter | None) -> Converter:
    def convert(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
        module = maker(node, graph)
        if module is not None:
            return OperationConverterResult(module, OnnxMapping(node.input_values[:1], node.output_values))
        if own is None:
            raise NotImplementedError(f"{node.operation_type} of what is computed is not implemented")
        return own(node, graph)

    return convert


def every_input(module: torch.nn.Module, node: OnnxNode) -> OperationConverterResult:
    """`module`, which takes the node's inputs one for one."""
    return OperationConverterResult(module, onnx_mapping_from_node(node))


def given(node: OnnxNode, graph: OnnxGraph, place: int) -> list[Any] | None:
    """The constant at an input's place; None where there is none, or where it is computed: see `computed`."""
    name = node.input_values[place] if place < len(node.input_values) else ""
    return graph.initializers[name].to_numpy().reshape(-1).tolist() if name in graph.initializers else None


def computed(node: OnnxNode, graph: OnnxGraph) -> bool:
    """Is an input other than the first one data?"""
    return any(name and name not in graph.initializers for name in node.input_values[1:])


def shape(node: OnnxNode, graph: OnnxGraph) -> list[int]:
    """Of the node's first input, 0 for what isn't known. NotImplementedError where inference doesn't know the rank."""
    name = node.input_values[0]
    if name in graph.initializers:
        return list(graph.initializers[name].proto.dims)
    if name not in graph.value_info or not graph.value_info[name].type.tensor_type.HasField("shape"):
        raise NotImplementedError(f"{node.operation_type} of a tensor whose rank is not known is not implemented")
    return [dim.dim_value for dim in graph.value_info[name].type.tensor_type.shape.dim]


class Apply(torch.nn.Module):
    """A function of one tensor, with constants that it was made with."""

    def __init__(self, function: Callable[..., Any], **constants: Any) -> None:
        super().__init__()
        self.function, self.constants = function, constants

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, **self.constants)
