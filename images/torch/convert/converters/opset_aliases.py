"""Registers onnx2torch's converters for newer opsets that only widened an operator to more types.

onnx2torch ends at about opset 17; a user's own ONNX file may have 18 to 25.
"""

from onnx2torch.node_converters.registry import _CONVERTER_REGISTRY, OperationDescription, add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OperationConverterResult

SHAPES = (19, 21, 23, 24, 25)
WIDENED = {
    **dict.fromkeys(("Cast", "Constant", "Identity", "Reshape", "Shape"), SHAPES),
    **dict.fromkeys(("Flatten", "Transpose"), (21, 23, 24, 25)),
    **dict.fromkeys(("Pad", "Squeeze", "Unsqueeze"), (23, 24, 25)),
    **dict.fromkeys(("Acos", "Asin", "Atan", "Cos", "Sin", "Tan", "Round", "EyeLike", "Dropout"), (22,)),
    **dict.fromkeys(("Elu", "HardSigmoid", "HardSwish", "Selu", "Softplus", "Softsign"), (22,)),
    **dict.fromkeys(("Conv", "GlobalAveragePool", "InstanceNormalization", "MaxPool"), (22,)),
    **dict.fromkeys(("GreaterOrEqual", "LessOrEqual"), (16,)),
    "AveragePool": (19, 22),
    "ConstantOfShape": (20, 21, 23, 24, 25),
    "Equal": (19,),
    "IsInf": (20,),
    "IsNaN": (20,),
    "TopK": (24,),
}


def newest_converter(kind: str, before: int) -> OperationDescription | None:
    """Describe the newest converter of the operator before this opset; None if there is none."""
    converters = [item for item in _CONVERTER_REGISTRY if item.domain == "" and item.operation_type == kind]
    return max((item for item in converters if item.version < before), key=lambda item: item.version, default=None)


def convert_average_pool(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    """Refuse dilations, which opset 19 added and onnx2torch would ignore."""
    if any(step != 1 for step in node.attributes.get("dilations", ())):
        raise NotImplementedError("AveragePool with dilations is not implemented")
    return _CONVERTER_REGISTRY[OperationDescription("", "AveragePool", 11)](node, graph)


def register_aliases() -> None:
    """Register the converters."""
    for kind, versions in WIDENED.items():
        for version in versions:
            previous = newest_converter(kind, version)
            if previous is not None and OperationDescription("", kind, version) not in _CONVERTER_REGISTRY:
                converter = convert_average_pool if kind == "AveragePool" else _CONVERTER_REGISTRY[previous]
                add_converter(kind, version)(converter)


register_aliases()
