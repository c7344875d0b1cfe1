"""Converters for operators of common Keras models that onnx2torch lacks; importing this registers all of ours.

FX can trace their modules and torch.export can follow them: constants are attributes, and no module reads data. Import
it after `torchvision_stub.install()`.
"""

import torch
from onnx2torch.node_converters.registry import add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

from images.torch.convert.converters import (  # noqa: F401 - each adds its own
    average_pool,
    constant_arguments,
    elementwise,
    indexing,
    opset_aliases,
    recurrent,
    resize,
    transposed,
)
from images.torch.convert.converters.registry import Apply, input_shape, register_first_input, take_every_input


@register_first_input("GlobalMaxPool", 1, 22)
def convert_global_max_pool(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:
    return Apply(torch.amax, dim=tuple(range(2, len(input_shape(node, graph)))), keepdim=True)


@register_first_input("Gelu", 20)
def convert_gelu(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:  # noqa: ARG001 - as all are called
    return torch.nn.GELU(node.attributes.get("approximate", "none"))


@add_converter("Gelu", 1, "com.microsoft")
def convert_contributed_gelu(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:  # noqa: ARG001
    return take_every_input(torch.nn.GELU(), node)


@add_converter("QuickGelu", 1, "com.microsoft")
def convert_quick_gelu(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:  # noqa: ARG001
    alpha = node.attributes.get("alpha", 1.702)
    return take_every_input(Apply(lambda x: x * torch.sigmoid(alpha * x)), node)


@register_first_input("Erfc", 1, 17)
def convert_erfc(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:  # noqa: ARG001
    """tf2onnx writes it for GELU, though ONNX has no such operator."""
    return Apply(torch.erfc)


@register_first_input("SpaceToDepth", 1, 13)
def convert_space_to_depth(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:
    _, channels, height, width = input_shape(node, graph)
    size = node.attributes["blocksize"]
    rows, columns = height // size, width // size

    def moved(x: torch.Tensor) -> torch.Tensor:
        parts = x.reshape(-1, channels, rows, size, columns, size).permute(0, 3, 5, 1, 2, 4)
        return parts.reshape(-1, channels * size * size, rows, columns)

    return Apply(moved)


@register_first_input("Mish", 18, 22)
def convert_mish(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:  # noqa: ARG001
    return torch.nn.Mish()


@register_first_input("ThresholdedRelu", 10, 22)
def convert_thresholded_relu(node: OnnxNode, graph: OnnxGraph) -> torch.nn.Module:  # noqa: ARG001
    return torch.nn.Threshold(node.attributes.get("alpha", 1.0), 0.0)


@add_converter("Linear", 1, "crossquant")
def convert_linear(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """The operator that images/torch/convert/rewriting.py makes of a product with constant weights."""
    weight, *bias = (graph.initializers[name].to_torch() for name in node.input_values[1:])
    inputs, outputs = weight.shape
    module = torch.nn.Linear(inputs, outputs, bias=bool(bias))
    module.weight.data = weight.T
    if bias:
        module.bias.data = bias[0]
    return OperationConverterResult(module, OnnxMapping(node.input_values[:1], node.output_values))
